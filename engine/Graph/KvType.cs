namespace Tare.Graphs;

/// <summary>Element type of cached keys and values. They are rounded when they enter the cache, keys after their rotary positions.</summary>
public enum KvType
{
    /// <summary>32-bit float.</summary>
    F32,

    /// <summary>IEEE half, rounded to nearest even. What is too large becomes ±65504; the type is for finite values only.</summary>
    F16,

    /// <summary>
    /// For each 32 consecutive elements of a head (the last block of a head may be shorter) a scale s, the half nearest to max |x| / 127, and codes round-to-even(x / s) clamped to ±127, all in F32 arithmetic;
    /// an element is code · s.
    /// </summary>
    Q8_0,
}
