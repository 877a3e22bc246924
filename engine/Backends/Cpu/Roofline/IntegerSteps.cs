using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu.Roofline;

/// <summary>The multiplications of integer products on 64 bytes, in the widest form that this processor has.</summary>
internal static class IntegerSteps
{
    /// <summary>a₀b₀ + a₁b₁ of neighboring bytes as I16, a unsigned and b signed; the caller keeps sums below 2¹⁵.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> MultiplyBytes(Vector512<byte> a, Vector512<sbyte> b)
    {
        if (Avx512BW.IsSupported) return Avx512BW.MultiplyAddAdjacent(a, b);
        if (Avx2.IsSupported) return Vector512.Create(Avx2.MultiplyAddAdjacent(a.GetLower(), b.GetLower()), Avx2.MultiplyAddAdjacent(a.GetUpper(), b.GetUpper()));
        Vector512<short> evenA = (a.AsInt16() << 8).AsUInt16().AsInt16() >>> 8, oddA = a.AsInt16() >>> 8, evenB = b.AsInt16() << 8 >> 8, oddB = b.AsInt16() >> 8;
        return evenA * evenB + oddA * oddB;
    }

    /// <summary>a₀b₀ + a₁b₁ of neighboring I16 as I32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> MultiplyShorts(Vector512<short> a, Vector512<short> b)
    {
        if (Avx512BW.IsSupported) return Avx512BW.MultiplyAddAdjacent(a, b);
        if (Avx2.IsSupported) return Vector512.Create(Avx2.MultiplyAddAdjacent(a.GetLower(), b.GetLower()), Avx2.MultiplyAddAdjacent(a.GetUpper(), b.GetUpper()));
        Vector512<int> evenA = a.AsInt32() << 16 >> 16, oddA = a.AsInt32() >> 16, evenB = b.AsInt32() << 16 >> 16, oddB = b.AsInt32() >> 16;
        return evenA * evenB + oddA * oddB;
    }
}
