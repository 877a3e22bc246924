using Tare.Graphs;

namespace Tare.Backends.Reference;

/// <summary>What a cache of a type keeps of a key or value, exactly as <see cref="KvType"/> says. F32 caches keep F64 here.</summary>
internal static class CachedValues
{
    /// <summary>Rounds the heads of one position.</summary>
    public static void Round(KvType type, int headWidth, ReadOnlySpan<double> x, Span<double> y)
    {
        switch (type)
        {
            case KvType.F32:
                x.CopyTo(y);
                break;
            case KvType.F16:
                for (int i = 0; i < x.Length; i++) y[i] = (double)(Half)Math.Clamp((float)x[i], -65504f, 65504f);
                break;
            default:
                for (int head = 0; head < x.Length; head += headWidth)
                    for (int first = 0; first < headWidth; first += 32)
                    {
                        int count = Math.Min(32, headWidth - first);
                        RoundBlock(x.Slice(head + first, count), y.Slice(head + first, count));
                    }
                break;
        }
    }

    private static void RoundBlock(ReadOnlySpan<double> x, Span<double> y)
    {
        float largest = 0;
        foreach (double v in x) largest = MathF.Max(largest, MathF.Abs((float)v));
        float scale = (float)(Half)(largest / 127);
        float inverse = scale > 0 ? 1 / scale : 0;
        for (int i = 0; i < x.Length; i++) y[i] = (double)scale * Math.Clamp(MathF.Round((float)x[i] * inverse, MidpointRounding.ToEven), -127, 127);
    }
}
