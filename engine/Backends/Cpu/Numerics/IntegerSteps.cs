using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu.Numerics;

/// <summary>Steps of integer products on 64 bytes, exact on every machine.</summary>
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

    /// <summary>The entry of a table of 16 (held four times) named by the low four bits of each byte; the upper four must be zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<sbyte> LookUp(Vector512<sbyte> table, Vector512<byte> index)
    {
        if (Avx512BW.IsSupported) return Avx512BW.Shuffle(table, index.AsSByte());
        if (!Avx2.IsSupported) return Vector512.Create(Vector256.Create(Each(index, 0), Each(index, 16)), Vector256.Create(Each(index, 32), Each(index, 48)));
        return Vector512.Create(Avx2.Shuffle(table.GetLower(), index.GetLower().AsSByte()), Avx2.Shuffle(table.GetLower(), index.GetUpper().AsSByte()));

        Vector128<sbyte> Each(Vector512<byte> all, int start)
        {
            var result = Vector128<sbyte>.Zero;
            for (int i = 0; i < 16; i++) result = result.WithElement(i, table.GetElement(all.GetElement(start + i)));
            return result;
        }
    }
}
