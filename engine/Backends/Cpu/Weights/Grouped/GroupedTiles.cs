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
    public static PackedMatrix? TryPack(Weight weight, int matrices, int rows, int threads) => weight.Type switch
    {
        TensorType.Q4_0 => new GroupedTiles<GroupedQ4_0>(weight, matrices, rows, threads),
        TensorType.Q4_1 => new GroupedTiles<GroupedQ4_1>(weight, matrices, rows, threads),
        TensorType.Q5_0 => new GroupedTiles<GroupedQ5_0>(weight, matrices, rows, threads),
        TensorType.Q5_1 => new GroupedTiles<GroupedQ5_1>(weight, matrices, rows, threads),
        TensorType.Q8_0 => new GroupedTiles<GroupedQ8_0>(weight, matrices, rows, threads),
        TensorType.Q4_K => new GroupedTiles<GroupedQ4_K>(weight, matrices, rows, threads),
        TensorType.Q5_K => new GroupedTiles<GroupedQ5_K>(weight, matrices, rows, threads),
        TensorType.Q6_K => new GroupedTiles<GroupedQ6_K>(weight, matrices, rows, threads),
        TensorType.IQ4_NL => new GroupedTiles<GroupedIQ4_NL>(weight, matrices, rows, threads),
        TensorType.MXFP4 => new GroupedTiles<GroupedMXFP4>(weight, matrices, rows, threads),
        _ => null,
    };
}

/// <summary>Tiles of small integers, laid out as <see cref="TileLayout{T}"/> says.</summary>
internal sealed unsafe partial class GroupedTiles<T> : PackedMatrix where T : struct, IGroupedIntegers
{
    private const int Step = 32, BlockSteps = TileLayout<T>.BlockSteps;

    private readonly NativeBuffer<byte> _blocks;
    private readonly long _tileBytes;

    public GroupedTiles(Weight weight, int matrices, int rows, int threads) : base(matrices, rows, weight.Width)
    {
        _ = BlockFormats.TryGet(T.Type, out var format);
        _tileBytes = TileLayout<T>.TileBytes(Width / Step);
        _blocks = new NativeBuffer<byte>(checked((long)matrices * Tiles * _tileBytes), dense: true);
        Parallel.For(0L, (long)matrices * Tiles, new ParallelOptions { MaxDegreeOfParallelism = threads }, () => (byte[]?)null, (t, _, gathered) =>
        {
            Pack(weight, format!, (int)(t / Tiles), (int)(t % Tiles), ref gathered);
            return gathered;
        }, _ => { });
    }

    public override long Bytes => _blocks.Bytes;

    public override int PanelWidth => 512;

    public override bool NeedsScratch => true;

    public override bool HasDirect => true;

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch)
    {
        var table = LoadTable();
        float* target = scratch;
        for (int k = 0; k < count; k += 256)
        {
            int steps = Math.Min(BlockSteps, (Width - first - k) / Step);
            var block = new TileBlock<T>(Tile(matrix, tile) + TileLayout<T>.BlockAt((first + k) / 256), steps, 0);
            for (int i = 0; i < Math.Min(steps, (count - k) / Step); i++)
                for (int part = 0; part < 2; part++)
                {
                    Vector512<float> scale = Scale(block, i, part), minimum = Minimum(block, i);
                    for (int j = 0; j < 4; j++, target += 4 * TileRows)
                    {
                        var codes = Codes(block, i, part, j);
                        for (int v = 0; v < 4; v++) Value(codes, v, table, scale, minimum).Store(target + v * TileRows);
                    }
                }
        }
        return scratch;
    }

    public override void Multiply(int matrix, int tile, int tiles, float* x, float* y)
    {
        byte* a = Tile(matrix, tile), b = Tile(matrix, tile + tiles - 1);
        Pair(a, b, x, Width / Step, y, y + (tiles - 1) * TileRows);
    }

    public override void Dispose() => _blocks.Dispose();

    // Two tiles, so that the chain of one hides behind the other (the same one twice where there is one). Vectors of codes are loaded once for the values that they hold.
    private static void Pair(byte* a, byte* b, float* x, int steps, float* ya, float* yb)
    {
        var table = LoadTable(); // before the sums are loaded: the call would spill them
        Vector512<float> sumA = Vector512.Load(ya), sumB = Vector512.Load(yb);
        for (int done = 0; done < steps; done += BlockSteps)
        {
            int count = Math.Min(BlockSteps, steps - done);
            TileBlock<T> blockA = new(a, count, 0), blockB = new(b, count, 0);
            for (int i = 0; i < count; i++)
            {
                Vector512<float> minimumA = Minimum(blockA, i), minimumB = Minimum(blockB, i);
                for (int part = 0; part < 2; part++)
                {
                    Vector512<float> scaleA = Scale(blockA, i, part), scaleB = Scale(blockB, i, part);
                    for (int j = 0; j < 4; j++, x += 4)
                    {
                        Vector512<int> codesA = Codes(blockA, i, part, j), codesB = Codes(blockB, i, part, j);
                        sumA = Vector512.FusedMultiplyAdd(Value(codesA, 0, table, scaleA, minimumA), Vector512.Create(x[0]), sumA);
                        sumB = Vector512.FusedMultiplyAdd(Value(codesB, 0, table, scaleB, minimumB), Vector512.Create(x[0]), sumB);
                        sumA = Vector512.FusedMultiplyAdd(Value(codesA, 1, table, scaleA, minimumA), Vector512.Create(x[1]), sumA);
                        sumB = Vector512.FusedMultiplyAdd(Value(codesB, 1, table, scaleB, minimumB), Vector512.Create(x[1]), sumB);
                        sumA = Vector512.FusedMultiplyAdd(Value(codesA, 2, table, scaleA, minimumA), Vector512.Create(x[2]), sumA);
                        sumB = Vector512.FusedMultiplyAdd(Value(codesB, 2, table, scaleB, minimumB), Vector512.Create(x[2]), sumB);
                        sumA = Vector512.FusedMultiplyAdd(Value(codesA, 3, table, scaleA, minimumA), Vector512.Create(x[3]), sumA);
                        sumB = Vector512.FusedMultiplyAdd(Value(codesB, 3, table, scaleB, minimumB), Vector512.Create(x[3]), sumB);
                    }
                }
            }
            a += TileLayout<T>.BlockBytes(count);
            b += TileLayout<T>.BlockBytes(count);
        }
        sumA.Store(ya);
        sumB.Store(yb);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Value(Vector512<int> codes, int index, Vector512<float> table, Vector512<float> scale, Vector512<float> minimum)
    {
        var value = T.IsNibble ? LookUp(table, codes >>> (8 * index)) : Vector512.ConvertToSingle(codes << (24 - 8 * index) >> 24);
        value *= scale;
        return T.HasMinimum ? value + minimum : value;
    }

    // The lane vector that holds values 16 · part + 4 · j …; for nibbles already shifted so that the code is in the low half of each byte.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Codes(in TileBlock<T> block, int step, int part, int j)
    {
        byte* codes = block.Codes + step * TileLayout<T>.CodeBytes;
        if (!T.IsNibble) return Vector512.Load((int*)codes + (4 * part + j) * TileRows);
        var both = Vector512.Load((int*)codes + j * TileRows);
        return part == 0 ? both : both >>> 4;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scale(in TileBlock<T> block, int step, int part)
    {
        byte* numbers = block.ScalesOf(step, TileLayout<T>.Groups == 2 ? part : 0);
        return T.Scales switch
        {
            ScaleForm.Half => Halfs((ushort*)numbers),
            ScaleForm.Power => Powers(Integers(numbers)),
            ScaleForm.SharedSigned => Halfs(block.Factor(0)) * Vector512.ConvertToSingle(Integers(numbers) << 24 >> 24),
            _ => Halfs(block.Factor(0)) * Vector512.ConvertToSingle(Integers(numbers)),
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Minimum(in TileBlock<T> block, int step)
    {
        if (!T.HasMinimum) return default;
        byte* numbers = block.MinimumsOf(step);
        return T.Scales == ScaleForm.Half ? Halfs((ushort*)numbers) : -(Halfs(block.Factor(1)) * Vector512.ConvertToSingle(Integers(numbers)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Halfs(ushort* values)
    {
        var halfs = Vector256.Load(values);
        return F16.ToSingle(Avx512F.IsSupported ? Avx512F.ConvertToVector512UInt32(halfs) : Vector512.Create(Vector256.WidenLower(halfs), Vector256.WidenUpper(halfs)));
    }

    // 2^(e − 128); the two smallest are subnormal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Powers(Vector512<int> e)
        => Vector512.ConditionalSelect(Vector512.LessThan(e, Vector512.Create(2)), (e + Vector512<int>.One) << 21, (e - Vector512<int>.One) << 23).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Integers(byte* values)
    {
        var bytes = Vector128.Load(values);
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512Int32(bytes);
        var shorts = Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes));
        return Vector512.Create(Vector256.WidenLower(shorts), Vector256.WidenUpper(shorts)).AsInt32();
    }

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

    private byte* Tile(int matrix, int tile) => _blocks.Pointer + ((long)matrix * Tiles + tile) * _tileBytes;
}
