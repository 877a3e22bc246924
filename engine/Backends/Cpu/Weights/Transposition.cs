using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Sixteen rows to tiles: <c>target[k][row] = source[row][k]</c>, bits moved by vectors of 128 bits.</summary>
internal static unsafe class Transposition
{
    private const int Rows = PackedMatrix.TileRows;

    /// <summary>32-bit elements: <paramref name="source"/> [16, stride], of which the first <paramref name="count"/> of each row; <paramref name="target"/> [count, 16].</summary>
    public static void Run(uint* source, int stride, uint* target, int count)
    {
        int whole = count & ~3;
        for (int k = 0; k < whole; k += 4)
            for (int r = 0; r < Rows; r += 4) Square(source + (long)r * stride + k, stride, target + (long)k * Rows + r);
        for (int k = whole; k < count; k++)
            for (int r = 0; r < Rows; r++) target[(long)k * Rows + r] = source[(long)r * stride + k];
    }

    /// <summary>16-bit elements, likewise.</summary>
    public static void Run(ushort* source, int stride, ushort* target, int count)
    {
        int whole = count & ~7;
        for (int k = 0; k < whole; k += 8)
            for (int r = 0; r < Rows; r += 8) Square(source + (long)r * stride + k, stride, target + (long)k * Rows + r);
        for (int k = whole; k < count; k++)
            for (int r = 0; r < Rows; r++) target[(long)k * Rows + r] = source[(long)r * stride + k];
    }

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
    private static void Square(ushort* source, int stride, ushort* target)
    {
        uint* pairs = stackalloc uint[32]; // [4 pairs of rows, 8]: (row 2p, row 2p + 1) at each k
        for (int p = 0; p < 4; p++)
        {
            Vector128<ushort> a = Vector128.Load(source + 2L * p * stride), b = Vector128.Load(source + (2L * p + 1) * stride);
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
