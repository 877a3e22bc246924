using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Caches;

/// <summary>A head's keys [Width, 32 positions] or values [32 positions, Width] of a page as they lie in memory. The pointers must outlive it.</summary>
internal readonly unsafe struct Panel
{
    /// <summary>Elements from a row to the next.</summary>
    public readonly int Stride;

    public readonly KvType Type;

    /// <summary>First element of row 0.</summary>
    public readonly byte* Elements;

    /// <summary>Q8_0: scales F16 [blocks of 32 elements, 32 positions].</summary>
    public readonly byte* Scales;

    private Panel(KvType type, byte* elements, byte* scales, int stride)
    {
        Type = type;
        Elements = elements;
        Scales = scales;
        Stride = stride;
    }

    /// <summary>F32 rows.</summary>
    public static Panel Of(float* rows, int stride) => new(KvType.F32, (byte*)rows, null, stride);

    /// <summary>Stored keys of a head.</summary>
    public static Panel OfKeys(in HeadFormat format, byte* head) => new(format.Type, head + format.ElementsOffset, head, KvLayout.PageTokens);

    /// <summary>Stored values of a head.</summary>
    public static Panel OfValues(in HeadFormat format, byte* head) => new(format.Type, head + format.ElementsOffset, head, format.Width);
}
