using System.Runtime.CompilerServices;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Caches;

/// <summary>Writes the key and value of one position into its page. Kernels that make keys and values may call it while a row is at hand.</summary>
internal static unsafe class CacheRows
{
    /// <summary>Key [Heads · KeyWidth] and value [Heads · ValueWidth] (null where values are read from keys) of a position.</summary>
    /// <param name="state">The caches.</param>
    /// <param name="group">KV group of the layer.</param>
    /// <param name="layerIndex">The layer's index in the group.</param>
    /// <param name="page">The page.</param>
    /// <param name="within">The position within the page.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    public static void Append(CpuState state, int group, int layerIndex, int page, int within, float* key, float* value)
    {
        ref readonly var format = ref state.Format(group);
        for (int h = 0; h < format.Heads; h++)
        {
            Key(format.Keys, state.Keys(group, page, layerIndex, h), within, key + (long)h * format.Keys.Width);
            if (value is not null) Value(format.Values, state.Values(group, page, layerIndex, h), within, value + (long)h * format.Values.Width);
        }
    }

    [SkipLocalsInit]
    private static void Key(in HeadFormat format, byte* head, int within, float* x)
    {
        byte* elements = head + format.ElementsOffset;
        switch (format.Type)
        {
            case KvType.F32:
                for (int i = 0; i < format.Width; i++) ((float*)elements)[i * KvLayout.PageTokens + within] = x[i];
                break;
            case KvType.F16:
                ushort* halves = stackalloc ushort[HeadFormat.Block];
                for (int first = 0; first < format.Width; first += HeadFormat.Block)
                {
                    int count = Math.Min(HeadFormat.Block, format.Width - first);
                    CacheRounding.ToHalves(x + first, count, halves);
                    for (int i = 0; i < count; i++) ((ushort*)elements)[(first + i) * KvLayout.PageTokens + within] = halves[i];
                }
                break;
            default:
                sbyte* codes = stackalloc sbyte[HeadFormat.Block];
                for (int first = 0, block = 0; first < format.Width; first += HeadFormat.Block, block++)
                {
                    int count = Math.Min(HeadFormat.Block, format.Width - first);
                    ((Half*)head)[block * KvLayout.PageTokens + within] = CacheRounding.ToCodes(x + first, count, codes);
                    for (int i = 0; i < count; i++) ((sbyte*)elements)[(first + i) * KvLayout.PageTokens + within] = codes[i];
                }
                break;
        }
    }

    [SkipLocalsInit]
    private static void Value(in HeadFormat format, byte* head, int within, float* x)
    {
        byte* row = head + format.ElementsOffset + (long)within * format.Width * format.ElementBytes;
        switch (format.Type)
        {
            case KvType.F32:
                new ReadOnlySpan<float>(x, format.Width).CopyTo(new Span<float>(row, format.Width));
                break;
            case KvType.F16:
                CacheRounding.ToHalves(x, format.Width, (ushort*)row);
                break;
            default:
                sbyte* codes = stackalloc sbyte[HeadFormat.Block];
                for (int first = 0, block = 0; first < format.Width; first += HeadFormat.Block, block++)
                {
                    int count = Math.Min(HeadFormat.Block, format.Width - first);
                    ((Half*)head)[block * KvLayout.PageTokens + within] = CacheRounding.ToCodes(x + first, count, codes);
                    new ReadOnlySpan<sbyte>(codes, count).CopyTo(new Span<sbyte>(row + first, count));
                }
                break;
        }
    }
}
