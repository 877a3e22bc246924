using System.Buffers;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Packs the stored rows [<paramref name="rows"/>, row bytes] of a tile, which lie behind each other; a tile that has fewer than 16 is filled up with zero bytes.</summary>
internal unsafe delegate void TilePacker(byte* stored, int matrix, int tile, int rows);

/// <summary>Brings the stored rows of matrices to a packer, tile by tile on all threads: a portion is copied to where it stays in the second cache, then packed from there.</summary>
internal static unsafe class StoredTiles
{
    private const int PortionBytes = 128 << 10, TileRows = PackedMatrix.TileRows;

    /// <summary>Packs stacked matrices [<paramref name="matrices"/> · rows] whose rows take <paramref name="rowBytes"/> bytes each.</summary>
    public static void Pack(Weight weight, int matrices, int rows, int rowBytes, int threads, TilePacker pack)
    {
        int tiles = (rows + TileRows - 1) / TileRows, tileBytes = checked(TileRows * rowBytes);
        int run = Math.Clamp(PortionBytes / Math.Max(1, tileBytes), 1, Math.Max(1, tiles / (4 * threads))); // tiles of a portion
        long portions = (tiles + run - 1) / run, next = -1;
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
        {
            byte[] portion = ArrayPool<byte>.Shared.Rent(checked(run * tileBytes));
            fixed (byte* start = portion)
                for (long i; (i = Interlocked.Increment(ref next)) < matrices * portions;)
                {
                    int matrix = (int)(i / portions), tile = (int)(i % portions) * run, count = Math.Min(run * TileRows, rows - tile * TileRows);
                    weight.CopyStoredRows((long)matrix * rows + tile * TileRows, count, portion.AsSpan(0, count * rowBytes));
                    if (count % TileRows != 0) portion.AsSpan(count * rowBytes, (TileRows - count % TileRows) * rowBytes).Clear();
                    for (int first = 0; first < count; first += TileRows, tile++) pack(start + (long)first * rowBytes, matrix, tile, Math.Min(TileRows, count - first));
                }
            ArrayPool<byte>.Shared.Return(portion);
        });
    }
}
