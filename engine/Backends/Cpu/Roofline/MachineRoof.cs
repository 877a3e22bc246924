using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Roofline;

/// <summary>What the machine gives to all threads together, measured with the instructions that the kernels emit.</summary>
/// <param name="Threads">Threads that ran.</param>
/// <param name="ReadGigabytes">10⁹ bytes a second read from memory.</param>
/// <param name="FloatOperations">10⁹ F32 multiplications and additions a second (a fused one counts two).</param>
/// <param name="ByteOperations">10⁹ operations a second of byte products that add up in I16 for eight steps and then in I32.</param>
/// <param name="ShortOperations">10⁹ operations a second of I16 products that add up in I32.</param>
public sealed record MachineRoof(int Threads, double ReadGigabytes, double FloatOperations, double ByteOperations, double ShortOperations)
{
    private const int Steps = 4096; // of an arithmetic loop between two looks at the clock
    private static readonly long Least = 256L << 20, Most = 1L << 30;

    /// <summary>Measures for about <paramref name="seconds"/> each. Anything else that runs lowers the figures.</summary>
    public static MachineRoof Measure(int threads, double seconds = 0.4, CancellationToken cancel = default)
        => new(threads, ReadBandwidth(threads, seconds, cancel), OnAllThreads.Rate(threads, seconds, _ => Floats, cancel) / 1e9, OnAllThreads.Rate(threads, seconds, _ => Bytes, cancel) / 1e9,
            OnAllThreads.Rate(threads, seconds, _ => Shorts, cancel) / 1e9);

    /// <summary>10⁹ bytes a second that all threads together read from a buffer far larger than the caches.</summary>
    public static unsafe double ReadBandwidth(int threads, double seconds = 0.4, CancellationToken cancel = default)
    {
        long bytes = Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 16, Least, Most) / threads / 4096 * 4096;
        var buffers = new NativeBuffer<byte>[threads];
        try
        {
            for (int t = 0; t < threads; t++)
            {
                buffers[t] = new NativeBuffer<byte>(bytes);
                for (long at = 0; at < bytes; at += 1 << 30) buffers[t].Span(at, (int)Math.Min(1 << 30, bytes - at)).Fill(1); // pages that were never written are all the same page
            }
            return OnAllThreads.Rate(threads, Math.Max(seconds, 0.2), thread => () => Read(buffers[thread].Pointer, bytes), cancel) / 1e9;
        }
        finally
        {
            foreach (var buffer in buffers) buffer?.Dispose();
        }
    }

    private static unsafe double Read(byte* pointer, long bytes)
    {
        Vector512<byte> a = default, b = default, c = default, d = default;
        for (byte* end = pointer + bytes; pointer < end; pointer += 256)
        {
            a |= Vector512.Load(pointer);
            b |= Vector512.Load(pointer + 64);
            c |= Vector512.Load(pointer + 128);
            d |= Vector512.Load(pointer + 192);
        }
        OnAllThreads.Keep((a | b | c | d)[0]);
        return bytes;
    }

    // Twelve sums in flight: more than latency times units of any current core, few enough for the registers (with 256 bits as 24 halves some spill, as they do in the kernels).
    private static double Floats()
    {
        Vector512<float> x = Vector512.Create(0.999f), y = Vector512.Create(0.001f), a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x;
        for (int i = 0; i < Steps; i++)
        {
            a = Vector512.FusedMultiplyAdd(a, x, y);
            b = Vector512.FusedMultiplyAdd(b, x, y);
            c = Vector512.FusedMultiplyAdd(c, x, y);
            d = Vector512.FusedMultiplyAdd(d, x, y);
            e = Vector512.FusedMultiplyAdd(e, x, y);
            f = Vector512.FusedMultiplyAdd(f, x, y);
            g = Vector512.FusedMultiplyAdd(g, x, y);
            h = Vector512.FusedMultiplyAdd(h, x, y);
        }
        OnAllThreads.Keep((a + b + (c + d) + (e + f + (g + h)))[0]);
        return 8.0 * Steps * 32;
    }

    private static double Bytes()
    {
        var codes = Vector512.Create((byte)7);
        Vector512<int> a = default, b = default, c = default, d = default;
        var one = Vector512<short>.One;
        var x = Vector512.Create((sbyte)3);
        for (int i = 0; i < Steps; i++)
        {
            Vector512<short> p = default, q = default, r = default, s = default;
            for (int j = 0; j < 8; j++)
            {
                p += IntegerSteps.MultiplyBytes(codes, x);
                q += IntegerSteps.MultiplyBytes(codes, (x.AsInt32() + a).AsSByte());
                r += IntegerSteps.MultiplyBytes(codes, (x.AsInt32() + b).AsSByte());
                s += IntegerSteps.MultiplyBytes(codes, (x.AsInt32() + c).AsSByte());
            }
            a = IntegerSteps.MultiplyShorts(p, one);
            b = IntegerSteps.MultiplyShorts(q, one);
            c = IntegerSteps.MultiplyShorts(r, one);
            d += IntegerSteps.MultiplyShorts(s, one);
        }
        OnAllThreads.Keep((a + b + c + d)[0]);
        return 32.0 * Steps * 128;
    }

    private static double Shorts()
    {
        var x = Vector512.Create((short)3);
        Vector512<int> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
        for (int i = 0; i < Steps; i++)
        {
            a += IntegerSteps.MultiplyShorts(a.AsInt16(), x);
            b += IntegerSteps.MultiplyShorts(b.AsInt16(), x);
            c += IntegerSteps.MultiplyShorts(c.AsInt16(), x);
            d += IntegerSteps.MultiplyShorts(d.AsInt16(), x);
            e += IntegerSteps.MultiplyShorts(e.AsInt16(), x);
            f += IntegerSteps.MultiplyShorts(f.AsInt16(), x);
            g += IntegerSteps.MultiplyShorts(g.AsInt16(), x);
            h += IntegerSteps.MultiplyShorts(h.AsInt16(), x);
        }
        OnAllThreads.Keep((a + b + (c + d) + (e + f + (g + h)))[0]);
        return 8.0 * Steps * 64;
    }
}
