using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Makes tiles of the types that have grouped integers.</summary>
internal static class GroupedTiles
{
    /// <summary>Packs stored rows, or gives null for other types.</summary>
    public static PackedMatrix? TryPack(Weight weight, int matrices, int rows) => weight.Type switch
    {
        TensorType.Q4_0 => new GroupedTiles<GroupedQ4_0>(weight, matrices, rows),
        TensorType.Q4_1 => new GroupedTiles<GroupedQ4_1>(weight, matrices, rows),
        TensorType.Q5_0 => new GroupedTiles<GroupedQ5_0>(weight, matrices, rows),
        TensorType.Q5_1 => new GroupedTiles<GroupedQ5_1>(weight, matrices, rows),
        TensorType.Q8_0 => new GroupedTiles<GroupedQ8_0>(weight, matrices, rows),
        TensorType.Q4_K => new GroupedTiles<GroupedQ4_K>(weight, matrices, rows),
        TensorType.Q5_K => new GroupedTiles<GroupedQ5_K>(weight, matrices, rows),
        TensorType.Q6_K => new GroupedTiles<GroupedQ6_K>(weight, matrices, rows),
        TensorType.IQ4_NL => new GroupedTiles<GroupedIQ4_NL>(weight, matrices, rows),
        TensorType.MXFP4 => new GroupedTiles<GroupedMXFP4>(weight, matrices, rows),
        _ => null,
    };
}

/// <summary>
/// Tiles of small integers: for 16 rows and 32 values of k first the codes, then scales [32 / Group, 16], then minimums [32 / Group, 16]. A 32-bit lane is a row: byte i of lane vector j holds value 4j + i, or
/// for nibbles value 4j + i in its low half and 16 + 4j + i in its high half.
/// </summary>
internal sealed unsafe partial class GroupedTiles<T> : PackedMatrix where T : struct, IGroupedIntegers
{
    private const int Step = 32;

    private readonly NativeBuffer<byte> _blocks;

    public GroupedTiles(Weight weight, int matrices, int rows) : base(matrices, rows, weight.Width)
    {
        _ = BlockFormats.TryGet(T.Type, out var format);
        _blocks = new NativeBuffer<byte>(checked((long)matrices * Tiles * (Width / Step) * StepBytes));
        Parallel.For(0L, (long)matrices * Tiles, t => Pack(weight, format!, (int)(t / Tiles), (int)(t % Tiles)));
    }

    public override long Bytes => _blocks.Bytes;

    public override int PanelWidth => 512;

    public override bool NeedsScratch => true;

    public override bool HasDirect => true;

    private static int Groups
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Step / T.Group;
    }

    private static int CodeBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.IsNibble ? TileRows * Step / 2 : TileRows * Step;
    }

    private static int StepBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => CodeBytes + Groups * TileRows * sizeof(float) * (T.HasMinimum ? 2 : 1);
    }

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch)
    {
        byte* block = Tile(matrix, tile) + (long)(first / Step) * StepBytes;
        var table = LoadTable();
        for (int k = 0; k < count; k += Step, block += StepBytes)
            for (int i = 0; i < Step; i++) Value(block, i, table).Store(scratch + (k + i) * TileRows);
        return scratch;
    }

    public override void Multiply(int matrix, int tile, int tiles, float* x, float* y)
    {
        byte* a = Tile(matrix, tile);
        int steps = Width / Step;
        if (tiles == 2) Pair(a, a + (long)steps * StepBytes, x, steps, y);
        else One(a, x, steps, y);
    }

    public override void Dispose() => _blocks.Dispose();

    private static void One(byte* block, float* x, int steps, float* y)
    {
        var table = LoadTable();
        var sum = Vector512.Load(y);
        for (int s = 0; s < steps; s++, block += StepBytes, x += Step)
            for (int i = 0; i < Step; i++) sum = Vector512.FusedMultiplyAdd(Value(block, i, table), Vector512.Create(x[i]), sum);
        sum.Store(y);
    }

    // Two tiles, so that the chain of one hides behind the other. Vectors of codes are loaded once for the values that they hold.
    private static void Pair(byte* a, byte* b, float* x, int steps, float* y)
    {
        var table = LoadTable(); // before the sums are loaded: the call would spill them
        Vector512<float> sumA = Vector512.Load(y), sumB = Vector512.Load(y + TileRows);
        for (int s = 0; s < steps; s++, a += StepBytes, b += StepBytes, x += Step)
            for (int part = 0; part < Step / 16; part++)
            {
                Vector512<float> scaleA = Scale(a, part), scaleB = Scale(b, part), minimumA = Minimum(a, part), minimumB = Minimum(b, part);
                float* v = x + 16 * part;
                for (int j = 0; j < 4; j++, v += 4)
                {
                    Vector512<int> codesA = Codes(a, part, j), codesB = Codes(b, part, j);
                    sumA = Vector512.FusedMultiplyAdd(Value(codesA, 0, table, scaleA, minimumA), Vector512.Create(v[0]), sumA);
                    sumB = Vector512.FusedMultiplyAdd(Value(codesB, 0, table, scaleB, minimumB), Vector512.Create(v[0]), sumB);
                    sumA = Vector512.FusedMultiplyAdd(Value(codesA, 1, table, scaleA, minimumA), Vector512.Create(v[1]), sumA);
                    sumB = Vector512.FusedMultiplyAdd(Value(codesB, 1, table, scaleB, minimumB), Vector512.Create(v[1]), sumB);
                    sumA = Vector512.FusedMultiplyAdd(Value(codesA, 2, table, scaleA, minimumA), Vector512.Create(v[2]), sumA);
                    sumB = Vector512.FusedMultiplyAdd(Value(codesB, 2, table, scaleB, minimumB), Vector512.Create(v[2]), sumB);
                    sumA = Vector512.FusedMultiplyAdd(Value(codesA, 3, table, scaleA, minimumA), Vector512.Create(v[3]), sumA);
                    sumB = Vector512.FusedMultiplyAdd(Value(codesB, 3, table, scaleB, minimumB), Vector512.Create(v[3]), sumB);
                }
            }
        sumA.Store(y);
        sumB.Store(y + TileRows);
    }

    // Value i of the 32 of a step, for 16 rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Value(byte* block, int i, Vector512<float> table) => Value(Codes(block, i / 16, i % 16 / 4), i % 4, table, Scale(block, i / 16), Minimum(block, i / 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Value(Vector512<int> codes, int index, Vector512<float> table, Vector512<float> scale, Vector512<float> minimum)
    {
        var value = T.IsNibble ? LookUp(table, codes >>> (8 * index)) : Vector512.ConvertToSingle(codes << (24 - 8 * index) >> 24);
        value *= scale;
        return T.HasMinimum ? value + minimum : value;
    }

    // The lane vector that holds values 16 · part + 4 · j …; for nibbles already shifted so that the code is in the low half of each byte.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Codes(byte* block, int part, int j)
    {
        if (!T.IsNibble) return Vector512.Load((int*)block + (4 * part + j) * TileRows);
        var both = Vector512.Load((int*)block + j * TileRows);
        return part == 0 ? both : both >>> 4;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scale(byte* block, int part) => Vector512.Load((float*)(block + CodeBytes) + (Groups == 2 ? part * TileRows : 0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Minimum(byte* block, int part) => T.HasMinimum ? Vector512.Load((float*)(block + CodeBytes) + (Groups + (Groups == 2 ? part : 0)) * TileRows) : default;

    // table[index & 15] of each lane.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> LookUp(Vector512<float> table, Vector512<int> index)
    {
        if (Avx512F.IsSupported) return Avx512F.PermuteVar16x32(table, index);
        if (Avx2.IsSupported) return Vector512.Create(LookUp(table, index.GetLower()), LookUp(table, index.GetUpper()));
        var result = Vector512<float>.Zero;
        for (int lane = 0; lane < 16; lane++) result = result.WithElement(lane, table.GetElement(index.GetElement(lane) & 15));
        return result;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> LookUp(Vector512<float> table, Vector256<int> index)
        => Avx.BlendVariable(Avx2.PermuteVar8x32(table.GetLower(), index), Avx2.PermuteVar8x32(table.GetUpper(), index), (index << 28).AsSingle());

    private static Vector512<float> LoadTable() => T.IsNibble ? Vector512.Create(T.Table) : default;

    private void Pack(Weight weight, BlockFormat format, int matrix, int tile)
    {
        byte* target = Tile(matrix, tile);
        var codes = new byte[format.ValuesPerBlock];
        float[] scales = new float[format.ValuesPerBlock / T.Group], minimums = new float[scales.Length];
        for (int r = 0; r < TileRows; r++)
        {
            int index = tile * TileRows + r;
            ReadOnlySpan<byte> row = default;
            bool exists = index < Rows && weight.TryGetStoredRow((long)matrix * Rows + index, out row);
            for (int block = 0; block < Width / format.ValuesPerBlock; block++)
            {
                if (exists) T.Unpack(row.Slice(block * format.BytesPerBlock, format.BytesPerBlock), codes, scales, minimums);
                for (int s = 0; s < format.ValuesPerBlock / Step; s++)
                    Place(target + ((long)block * (format.ValuesPerBlock / Step) + s) * StepBytes, r, codes.AsSpan(s * Step, Step), scales.AsSpan(s * Groups, Groups), minimums.AsSpan(s * Groups, Groups), exists);
            }
        }
    }

    // Rows that fill a tile up have zero scales.
    private static void Place(byte* step, int row, Span<byte> codes, Span<float> scales, Span<float> minimums, bool exists)
    {
        if (T.IsNibble)
            for (int i = 0; i < Step / 2; i++) step[(i / 4 * TileRows + row) * 4 + i % 4] = exists ? (byte)(codes[i] | codes[i + 16] << 4) : (byte)0;
        else
            for (int i = 0; i < Step; i++) step[(i / 4 * TileRows + row) * 4 + i % 4] = exists ? codes[i] : (byte)0;
        float* numbers = (float*)(step + CodeBytes);
        for (int g = 0; g < Groups; g++)
        {
            numbers[g * TileRows + row] = exists ? scales[g] : 0;
            if (T.HasMinimum) numbers[(Groups + g) * TileRows + row] = exists ? minimums[g] : 0;
        }
    }

    private byte* Tile(int matrix, int tile) => _blocks.Pointer + ((long)matrix * Tiles + tile) * (Width / Step) * StepBytes;
}
