using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Caches;

/// <summary>Rounds F32 to what caches store.</summary>
internal static unsafe class CacheRounding
{
    private const float LargestHalf = 65504;

    /// <summary>count elements → halves, to nearest even; beyond ±65504 the nearest half is ±65504.</summary>
    [MethodImpl(AtFirstCall.Compiled)]
    public static void ToHalves(float* x, int count, ushort* target)
    {
        int i = 0;
        for (; i + Lanes.Count <= count; i += Lanes.Count)
        {
            var bits = HalfBits(Vector512.Load(x + i));
            Vector256.Narrow(bits.GetLower(), bits.GetUpper()).Store(target + i);
        }
        if (i == count) return;
        var rest = HalfBits(Lanes.Load(x + i, count - i));
        for (int k = 0; i < count; i++, k++) target[i] = (ushort)rest[k];
    }

    /// <summary>One Q8_0 block of 1 … 32 elements: codes [count], which are stored with 32 bytes, and the scale.</summary>
    public static Half ToCodes(float* x, int count, sbyte* codes)
    {
        Vector512<float> a = Lanes.Load(x, Math.Min(count, 16)), b = count > 16 ? Lanes.Load(x + 16, count - 16) : default;
        var scale = (Half)(Lanes.Max(Vector512.Max(Vector512.Abs(a), Vector512.Abs(b))) / 127);
        var inverse = Vector512.Create((float)scale > 0 ? 1 / (float)scale : 0);
        Vector512<int> lower = Codes(a * inverse), upper = Codes(b * inverse);
        var words = Vector512.Narrow(lower, upper);
        Vector256.Narrow(words.GetLower(), words.GetUpper()).Store(codes);
        return scale;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Codes(Vector512<float> x) => Vector512.ConvertToInt32Native(Vector512.MinNative(Vector512.MaxNative(Vector512.Round(x), Vector512.Create(-127f)), Vector512.Create(127f)));

    // Halves from 2⁻¹⁴ on: half an ulp (one less where the last kept bit is even) is added below the kept bits, then the exponent is moved by 112. Smaller ones: adding ½ leaves x in units of 2⁻²⁴ in the
    // low bits of the sum, rounded to even by the addition.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> HalfBits(Vector512<float> x)
    {
        var sign = x.AsUInt32() & Vector512.Create(0x80000000u);
        var magnitude = Vector512.MinNative(Vector512.Abs(x), Vector512.Create(LargestHalf));
        var bits = magnitude.AsUInt32();
        var normal = (bits + Vector512.Create(0xFFFu) + ((bits >> 13) & Vector512<uint>.One) >> 13) - Vector512.Create(112u << 10);
        var small = (magnitude + Vector512.Create(0.5f)).AsUInt32() - Vector512.Create(0.5f).AsUInt32();
        return Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(6.103515625e-05f)).AsUInt32(), small, normal) | (sign >> 16);
    }
}
