using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tare.Backends.Cpu.Caches;
using Tare.Formats;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>F16 or BF16 tiles, 16 bits an element: [matrices, tiles, width, 16], widened panel by panel.</summary>
internal sealed unsafe class HalfTiles : PackedMatrix
{
    private const int Ahead = 4096, AheadOfFour = 2048; // bytes

    private readonly ushort* _values;
    private readonly bool _brain;

    private HalfTiles(Weight weight, int matrices, int rows, WeightMemory memory) : base(matrices, rows, weight.Width)
    {
        _brain = weight.Type == TensorType.BF16;
        _values = (ushort*)memory.Take(Bytes = checked((long)matrices * Tiles * Width * TileRows * sizeof(ushort)));
    }

    public override long Bytes { get; }

    public override int PanelWidth => 512;

    public override bool NeedsScratch => true;

    /// <summary>Packs, or gives null where a value is infinite or NaN: widening below is exact for finite values only.</summary>
    public static HalfTiles? TryPack(Weight weight, int matrices, int rows, int threads, WeightMemory memory)
    {
        var tiles = new HalfTiles(weight, matrices, rows, memory);
        bool finite = true;
        StoredTiles.Pack(weight, matrices, rows, checked(weight.Width * sizeof(ushort)), threads, (stored, matrix, tile, _) =>
        {
            if (!tiles.IsFinite(Transposition.Run((ushort*)stored, tiles.Width, tiles.Tile(matrix, tile), tiles.Width))) Volatile.Write(ref finite, false);
        });
        if (finite) return tiles;
        memory.GiveBack((byte*)tiles._values);
        return null;
    }

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch)
    {
        ushort* source = Tile(matrix, tile) + (long)first * TileRows;
        if (_brain)
            for (int k = 0; k < count; k++) Value(source + k * TileRows, true).Store(scratch + k * TileRows);
        else
            for (int k = 0; k < count; k++) Value(source + k * TileRows, false).Store(scratch + k * TileRows);
        return scratch;
    }

    public override int DirectTiles => Vector512.IsHardwareAccelerated ? 4 : 2; // four sums are eight registers of 256 bits

    public override void Multiply(int matrix, int tile, int tiles, float* x, float* y)
    {
        ushort* a = Tile(matrix, tile), b = a + (long)Width * TileRows;
        if (tiles == 1) Single(a, x, y);
        else if (tiles == 4 && _brain) Four<Brain>(a, x, y);
        else if (tiles == 4) Four<Half>(a, x, y);
        else if (_brain) Pair<Brain>(a, b, x, y);
        else Pair<Half>(a, b, x, y);
    }

    private void Single(ushort* a, float* x, float* y)
    {
        var sum = Vector512.Load(y);
        for (int k = 0; k < Width; k++) sum = Vector512.FusedMultiplyAdd(Value(a + k * TileRows, _brain), Vector512.Create(x[k]), sum);
        sum.Store(y);
    }

    // One row waits for memory: lines are asked for long before they are needed, two values of k to a line.
    private void Pair<TForm>(ushort* a, ushort* b, float* x, float* y) where TForm : struct
    {
        Vector512<float> sumA = Vector512.Load(y), sumB = Vector512.Load(y + TileRows);
        int k = 0;
        for (; k + 2 <= Width; k += 2, a += 2 * TileRows, b += 2 * TileRows)
        {
            if (Sse.IsSupported)
            {
                // Behind the end of either tile comes what it is in the next pair.
                long ahead = Ahead + (k < Width - Ahead / (sizeof(ushort) * TileRows) ? 0 : (long)Width * TileRows * sizeof(ushort));
                Sse.Prefetch0((byte*)a + ahead);
                Sse.Prefetch0((byte*)b + ahead);
            }
            Vector512<float> first = Vector512.Create(x[k]), second = Vector512.Create(x[k + 1]);
            sumA = Vector512.FusedMultiplyAdd(Value(a, typeof(TForm) == typeof(Brain)), first, sumA);
            sumB = Vector512.FusedMultiplyAdd(Value(b, typeof(TForm) == typeof(Brain)), first, sumB);
            sumA = Vector512.FusedMultiplyAdd(Value(a + TileRows, typeof(TForm) == typeof(Brain)), second, sumA);
            sumB = Vector512.FusedMultiplyAdd(Value(b + TileRows, typeof(TForm) == typeof(Brain)), second, sumB);
        }
        if (k < Width)
        {
            sumA = Vector512.FusedMultiplyAdd(Value(a, typeof(TForm) == typeof(Brain)), Vector512.Create(x[k]), sumA);
            sumB = Vector512.FusedMultiplyAdd(Value(b, typeof(TForm) == typeof(Brain)), Vector512.Create(x[k]), sumB);
        }
        sumA.Store(y);
        sumB.Store(y + TileRows);
    }

    // As above. With two sums each waits for its last addition; four keep more lines on their way from memory.
    private void Four<TForm>(ushort* a, float* x, float* y) where TForm : struct
    {
        long tile = (long)Width * TileRows;
        ushort* b = a + tile, c = b + tile, d = c + tile;
        Vector512<float> sumA = Vector512.Load(y), sumB = Vector512.Load(y + TileRows), sumC = Vector512.Load(y + 2 * TileRows), sumD = Vector512.Load(y + 3 * TileRows);
        for (int k = 0; k < Width; k++, a += TileRows, b += TileRows, c += TileRows, d += TileRows)
        {
            if (Sse.IsSupported && k % 2 == 0)
            {
                long ahead = AheadOfFour + (k < Width - AheadOfFour / (sizeof(ushort) * TileRows) ? 0 : 3 * tile * sizeof(ushort));
                Sse.Prefetch0((byte*)a + ahead);
                Sse.Prefetch0((byte*)b + ahead);
                Sse.Prefetch0((byte*)c + ahead);
                Sse.Prefetch0((byte*)d + ahead);
            }
            var v = Vector512.Create(x[k]);
            sumA = Vector512.FusedMultiplyAdd(Value(a, typeof(TForm) == typeof(Brain)), v, sumA);
            sumB = Vector512.FusedMultiplyAdd(Value(b, typeof(TForm) == typeof(Brain)), v, sumB);
            sumC = Vector512.FusedMultiplyAdd(Value(c, typeof(TForm) == typeof(Brain)), v, sumC);
            sumD = Vector512.FusedMultiplyAdd(Value(d, typeof(TForm) == typeof(Brain)), v, sumD);
        }
        sumA.Store(y);
        sumB.Store(y + TileRows);
        sumC.Store(y + 2 * TileRows);
        sumD.Store(y + 3 * TileRows);
    }

    // Whether the exponents of all halves are below the largest.
    private bool IsFinite(ushort largest) => _brain || largest < 0x7C00;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Value(ushort* source, bool brain)
    {
        if (!brain) return HalfElements.Load((byte*)source);
        var values = Vector256.Load(source);
        return ((Avx512F.IsSupported ? Avx512F.ConvertToVector512UInt32(values) : Vector512.Create(Vector256.WidenLower(values), Vector256.WidenUpper(values))) << 16).AsSingle();
    }

    private ushort* Tile(int matrix, int tile) => _values + ((long)matrix * Tiles + tile) * Width * TileRows;

    private readonly struct Half;

    private readonly struct Brain;
}
