using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Caches;

/// <summary>
/// A head's keys or values of a page as F32, exactly: a code times a half has 19 bits. F32 caches are read in place; the other types are widened to scratch, which stays in the first-level cache.
/// </summary>
internal static unsafe class CachePanels
{
    private const int Page = KvLayout.PageTokens;

    /// <summary>Elements of scratch for a head: readers may go on to the end of a vector.</summary>
    public static long ScratchElements(int width) => (long)Page * width + Lanes.Count;

    /// <summary>Keys [Width, 32].</summary>
    public static float* Keys(in HeadFormat format, byte* head, float* scratch)
    {
        byte* elements = head + format.ElementsOffset;
        switch (format.Type)
        {
            case KvType.F32: return (float*)elements;
            case KvType.F16: return Halves(elements, format.Width * Page, scratch);
            default:
                for (int block = 0; block < format.Blocks; block++)
                {
                    byte* scales = head + block * Page * sizeof(ushort);
                    Vector512<float> low = HalfElements.Load(scales), high = HalfElements.Load(scales + 16 * sizeof(ushort));
                    int end = Math.Min((block + 1) * HeadFormat.Block, format.Width);
                    for (int i = block * HeadFormat.Block * Page; i < end * Page; i += Page)
                    {
                        (CodeElements.Load(elements + i) * low).Store(scratch + i);
                        (CodeElements.Load(elements + i + 16) * high).Store(scratch + i + 16);
                    }
                }
                return scratch;
        }
    }

    /// <summary>Values [32, Width].</summary>
    [SkipLocalsInit]
    [MethodImpl(AtFirstCall.Compiled)]
    public static float* Values(in HeadFormat format, byte* head, float* scratch)
    {
        byte* elements = head + format.ElementsOffset;
        switch (format.Type)
        {
            case KvType.F32: return (float*)elements;
            case KvType.F16: return Halves(elements, format.Width * Page, scratch);
            default:
                float* scales = stackalloc float[Page];
                for (int block = 0; block < format.Blocks; block++)
                {
                    Halves(head + block * Page * sizeof(ushort), Page, scales);
                    int first = block * HeadFormat.Block, width = Math.Min(HeadFormat.Block, format.Width - first);
                    for (int t = 0; t < Page; t++)
                    {
                        byte* codes = elements + t * format.Width + first;
                        float* target = scratch + t * format.Width + first;
                        var scale = Vector512.Create(scales[t]);
                        if (width == HeadFormat.Block)
                        {
                            (CodeElements.Load(codes) * scale).Store(target);
                            (CodeElements.Load(codes + 16) * scale).Store(target + 16);
                        }
                        else
                            for (int i = 0; i < width; i += Lanes.Count) Lanes.Store(CodeElements.Load(codes + i) * scale, target + i, width - i);
                    }
                }
                return scratch;
        }
    }

    private static float* Halves(byte* source, int count, float* target)
    {
        for (int i = 0; i < count; i += 16) HalfElements.Load(source + i * sizeof(ushort)).Store(target + i);
        return target;
    }
}
