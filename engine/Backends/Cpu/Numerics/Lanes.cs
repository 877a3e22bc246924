using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu.Numerics;

/// <summary>Vectors of 16 lanes at the ends of rows, and the one order in which lanes are summed.</summary>
internal static unsafe class Lanes
{
    /// <summary>Lanes of a vector, on every machine.</summary>
    public const int Count = 16;

    /// <summary>The first <paramref name="count"/> (1 … 16) elements; the other lanes are zero. Nothing behind them is read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int count) => count >= Count ? Vector512.Load(source) : LoadPart(source, count);

    /// <summary>Writes the first <paramref name="count"/> (1 … 16) lanes and nothing behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* target, int count)
    {
        if (count >= Count) value.Store(target);
        else StorePart(value, target, count);
    }

    /// <summary>Sum of 16 lanes by halves: i + (i + 8), then + 4, + 2, + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> value)
    {
        var eight = value.GetLower() + value.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        var two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1));
        return two[0] + two[1];
    }

    /// <summary>Largest of 16 lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> value)
    {
        var eight = Vector256.Max(value.GetLower(), value.GetUpper());
        var four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[2]), MathF.Max(four[1], four[3]));
    }

    /// <summary>Lanes whose index lies in [first, last]: all bits set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Mask(int first, int last)
    {
        var index = Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        return (Vector512.GreaterThanOrEqual(index, Vector512.Create(first)) & Vector512.LessThanOrEqual(index, Vector512.Create(last))).AsSingle();
    }

    private static Vector512<float> LoadPart(float* source, int count)
    {
        if (Avx.IsSupported) // an element that the mask leaves out is not read
        {
            var mask = Mask(0, count - 1);
            return Vector512.Create(Avx.MaskLoad(source, mask.GetLower()), Avx.MaskLoad(source + 8, mask.GetUpper()));
        }
        float* part = stackalloc float[Count];
        for (int i = 0; i < Count; i++) part[i] = i < count ? source[i] : 0;
        return Vector512.Load(part);
    }

    private static void StorePart(Vector512<float> value, float* target, int count)
    {
        float* part = stackalloc float[Count];
        value.Store(part);
        for (int i = 0; i < count; i++) target[i] = part[i];
    }
}
