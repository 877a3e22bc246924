namespace Tare.Formats.Quantization.Encoding;

/// <summary>Scales of blocks that are rounded without a search, as ggml's reference code does: from the extreme value, or from the range.</summary>
internal static class PlainScales
{
    /// <summary>The value of largest magnitude, with its sign; the first of equals.</summary>
    public static float Extreme(ReadOnlySpan<float> values)
    {
        float extreme = 0;
        foreach (float v in values)
            if (MathF.Abs(v) > MathF.Abs(extreme)) extreme = v;
        return extreme;
    }

    /// <summary>The least and the largest value.</summary>
    public static (float Least, float Most) Range(ReadOnlySpan<float> values)
    {
        float least = float.MaxValue, most = float.MinValue;
        foreach (float v in values) (least, most) = (MathF.Min(least, v), MathF.Max(most, v));
        return (least, most);
    }

    /// <summary>1 / scale, 0 for 0.</summary>
    public static float Inverse(float scale) => scale == 0 ? 0 : 1 / scale;

    /// <summary>Cuts off the fraction, then clamps to 0 … most.</summary>
    public static int Clamp(float value, int most) => Math.Clamp((int)value, 0, most);
}
