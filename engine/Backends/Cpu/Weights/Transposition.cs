using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Sixteen rows to tiles: <c>target[k][row] = source[row][k]</c>, bits moved by vectors of 128 bits.</summary>
internal static unsafe class Transposition
{
    private const int Rows = PackedMatrix.TileRows;
    private const ushort Magnitude = 0x7FFF;

    /// <summary>
    /// 32-bit elements: <paramref name="source"/> [16, stride], of which the first <paramref name="count"/> of each row; <paramref name="target"/> [count, 16].
    /// </summary>
    public static void Run(uint* source, int stride, uint* target, int count)
    {
        int whole = count & ~3;
        if (Avx512F.IsSupported && IsAligned(target))
            for (int k = 0; k < whole; k += 4) Columns(source + k, stride, target + (long)k * Rows);
        else
            for (int k = 0; k < whole; k += 4)
                for (int r = 0; r < Rows; r += 4) Square(source + (long)r * stride + k, stride, target + (long)k * Rows + r);
        for (int k = whole; k < count; k++)
            for (int r = 0; r < Rows; r++) target[(long)k * Rows + r] = source[(long)r * stride + k];
    }

    /// <summary>
    /// 16-bit elements, likewise. Returns the largest element without its highest bit, which tells whether all halves are finite.
    /// </summary>
    public static ushort Run(ushort* source, int stride, ushort* target, int count)
    {
        int whole = count & ~7;
        var largest = Vector512<ushort>.Zero;
        if (Avx512BW.IsSupported && IsAligned(target))
            for (int k = 0; k < whole; k += 8) Columns(source + k, stride, target + (long)k * Rows, ref largest);
        else
            for (int k = 0; k < whole; k += 8)
                for (int r = 0; r < Rows; r += 8) Square(source + (long)r * stride + k, stride, target + (long)k * Rows + r, ref largest);
        ushort most = 0;
        for (int lane = 0; lane < Vector512<ushort>.Count; lane++) most = Math.Max(most, largest.GetElement(lane));
        for (int k = whole; k < count; k++)
            for (int r = 0; r < Rows; r++)
            {
                ushort element = source[(long)r * stride + k];
                most = Math.Max(most, (ushort)(element & Magnitude));
                target[(long)k * Rows + r] = element;
            }
        return most;
    }

    // Tiles of an odd number of 16-bit columns are not aligned to a line all of them.
    private static bool IsAligned(void* target) => ((nint)target & 63) == 0;

    // 16 rows × 4: register i holds rows i, i + 4, i + 8, i + 12 in its quarters, so that unpacking within quarters brings all rows into order. Stores go past the caches: nothing reads them soon.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Columns(uint* source, int stride, uint* target)
    {
        Vector512<uint> a = Quarters(source, stride), b = Quarters(source + stride, stride), c = Quarters(source + 2L * stride, stride), d = Quarters(source + 3L * stride, stride);
        Vector512<ulong> ab = Avx512F.UnpackLow(a, b).AsUInt64(), cd = Avx512F.UnpackLow(c, d).AsUInt64(), abHigh = Avx512F.UnpackHigh(a, b).AsUInt64(), cdHigh = Avx512F.UnpackHigh(c, d).AsUInt64();
        Avx512F.UnpackLow(ab, cd).StoreAlignedNonTemporal((ulong*)target);
        Avx512F.UnpackHigh(ab, cd).StoreAlignedNonTemporal((ulong*)(target + Rows));
        Avx512F.UnpackLow(abHigh, cdHigh).StoreAlignedNonTemporal((ulong*)(target + 2 * Rows));
        Avx512F.UnpackHigh(abHigh, cdHigh).StoreAlignedNonTemporal((ulong*)(target + 3 * Rows));
    }

    // 16 rows × 8 of 16 bits: quarters as above; four rows of one k come out as 64 bits, and a permutation puts the four quarters of an even and of an odd k behind each other.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Columns(ushort* source, int stride, ushort* target, ref Vector512<ushort> largest)
    {
        Vector512<ushort> a = Quarters(source, stride), b = Quarters(source + stride, stride), c = Quarters(source + 2L * stride, stride), d = Quarters(source + 3L * stride, stride);
        var magnitude = Vector512.Create(Magnitude);
        largest = Avx512BW.Max(largest, Avx512BW.Max(Avx512BW.Max(a & magnitude, b & magnitude), Avx512BW.Max(c & magnitude, d & magnitude)));
        Vector512<uint> ab = Avx512BW.UnpackLow(a, b).AsUInt32(), cd = Avx512BW.UnpackLow(c, d).AsUInt32(), abHigh = Avx512BW.UnpackHigh(a, b).AsUInt32(), cdHigh = Avx512BW.UnpackHigh(c, d).AsUInt32();
        var order = Vector512.Create(0L, 2, 4, 6, 1, 3, 5, 7);
        Avx512F.PermuteVar8x64(Avx512F.UnpackLow(ab, cd).AsInt64(), order).StoreAlignedNonTemporal((long*)target);
        Avx512F.PermuteVar8x64(Avx512F.UnpackHigh(ab, cd).AsInt64(), order).StoreAlignedNonTemporal((long*)(target + 2 * Rows));
        Avx512F.PermuteVar8x64(Avx512F.UnpackLow(abHigh, cdHigh).AsInt64(), order).StoreAlignedNonTemporal((long*)(target + 4 * Rows));
        Avx512F.PermuteVar8x64(Avx512F.UnpackHigh(abHigh, cdHigh).AsInt64(), order).StoreAlignedNonTemporal((long*)(target + 6 * Rows));
    }

    // 128 bits of rows 0, 4, 8 and 12.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<T> Quarters<T>(T* source, int stride) where T : unmanaged
        => Vector512.Create(Vector256.Create(Vector128.Load(source), Vector128.Load(source + 4L * stride)), Vector256.Create(Vector128.Load(source + 8L * stride), Vector128.Load(source + 12L * stride)));

    // 4 × 4.
    private static void Square(uint* source, int stride, uint* target)
    {
        Vector128<uint> a = Vector128.Load(source), b = Vector128.Load(source + stride), c = Vector128.Load(source + 2L * stride), d = Vector128.Load(source + 3L * stride);
        Vector128<ulong> ab = ZipLow(a, b).AsUInt64(), cd = ZipLow(c, d).AsUInt64(), abHigh = ZipHigh(a, b).AsUInt64(), cdHigh = ZipHigh(c, d).AsUInt64();
        Vector128.Create(ab.GetLower(), cd.GetLower()).AsUInt32().Store(target);
        Vector128.Create(ab.GetUpper(), cd.GetUpper()).AsUInt32().Store(target + Rows);
        Vector128.Create(abHigh.GetLower(), cdHigh.GetLower()).AsUInt32().Store(target + 2 * Rows);
        Vector128.Create(abHigh.GetUpper(), cdHigh.GetUpper()).AsUInt32().Store(target + 3 * Rows);
    }

    // 8 × 8: pairs of rows to 32-bit elements, whose 4 × 4 squares give two rows of the result a register.
    private static void Square(ushort* source, int stride, ushort* target, ref Vector512<ushort> largest)
    {
        uint* pairs = stackalloc uint[32]; // [4 pairs of rows, 8]: (row 2p, row 2p + 1) at each k
        for (int p = 0; p < 4; p++)
        {
            Vector128<ushort> a = Vector128.Load(source + 2L * p * stride), b = Vector128.Load(source + (2L * p + 1) * stride), magnitude = Vector128.Create(Magnitude);
            largest = largest.WithLower(Vector256.Max(largest.GetLower(), Vector256.Create(a & magnitude, b & magnitude)));
            ZipLow(a, b).AsUInt32().Store(pairs + 8 * p);
            ZipHigh(a, b).AsUInt32().Store(pairs + 8 * p + 4);
        }
        for (int k = 0; k < 8; k += 4)
        {
            Vector128<uint> a = Vector128.Load(pairs + k), b = Vector128.Load(pairs + 8 + k), c = Vector128.Load(pairs + 16 + k), d = Vector128.Load(pairs + 24 + k);
            Vector128<ulong> ab = ZipLow(a, b).AsUInt64(), cd = ZipLow(c, d).AsUInt64(), abHigh = ZipHigh(a, b).AsUInt64(), cdHigh = ZipHigh(c, d).AsUInt64();
            ushort* to = target + (long)k * Rows;
            Vector128.Create(ab.GetLower(), cd.GetLower()).AsUInt16().Store(to);
            Vector128.Create(ab.GetUpper(), cd.GetUpper()).AsUInt16().Store(to + Rows);
            Vector128.Create(abHigh.GetLower(), cdHigh.GetLower()).AsUInt16().Store(to + 2 * Rows);
            Vector128.Create(abHigh.GetUpper(), cdHigh.GetUpper()).AsUInt16().Store(to + 3 * Rows);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> ZipLow(Vector128<uint> a, Vector128<uint> b)
        => Sse2.IsSupported ? Sse2.UnpackLow(a, b) : Vector128.ConditionalSelect(Vector128.Create(uint.MaxValue, 0, uint.MaxValue, 0), Vector128.Shuffle(a, Vector128.Create(0u, 0, 1, 1)), Vector128.Shuffle(b, Vector128.Create(0u, 0, 1, 1)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> ZipHigh(Vector128<uint> a, Vector128<uint> b)
        => Sse2.IsSupported ? Sse2.UnpackHigh(a, b) : Vector128.ConditionalSelect(Vector128.Create(uint.MaxValue, 0, uint.MaxValue, 0), Vector128.Shuffle(a, Vector128.Create(2u, 2, 3, 3)), Vector128.Shuffle(b, Vector128.Create(2u, 2, 3, 3)));

    // Elements of a in the low halves, of b in the high ones.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> ZipLow(Vector128<ushort> a, Vector128<ushort> b)
        => Sse2.IsSupported ? Sse2.UnpackLow(a, b) : (Vector128.WidenLower(a) | (Vector128.WidenLower(b) << 16)).AsUInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> ZipHigh(Vector128<ushort> a, Vector128<ushort> b)
        => Sse2.IsSupported ? Sse2.UnpackHigh(a, b) : (Vector128.WidenUpper(a) | (Vector128.WidenUpper(b) << 16)).AsUInt16();
}
