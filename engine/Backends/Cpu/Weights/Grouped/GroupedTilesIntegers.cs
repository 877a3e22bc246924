using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics.Integers;

namespace Tare.Backends.Cpu.Weights.Grouped;

// Products with integer activations, on the widest instructions that this processor has.
internal sealed unsafe partial class GroupedTiles<T>
{
    public override bool TakesIntegers => true;

    public override bool TakesBytes => T.Center >= 0;

    public override int IntegerScratchFloats(int rows) => 2 * TilePanel.Floats + rows * 2 * TileRows;

    public override void MultiplyIntegers(int tile, int tiles, int steps, in IntegerRows x, int rows, float* from, long fromStride, float* y, long yStride, float* scratch)
    {
        byte* first = Tile(0, tile) + TileLayout<T>.BlockAt(x.FirstStep / BlockSteps);
        if (Avx512Lanes.IsSupported)
            IntegerKernels<T, Avx512Lanes, Vector512<byte>, Vector512<short>, Vector512<int>, Vector512<float>>.Run(first, _tileBytes, tiles, steps, x, rows, from, fromStride, y, yStride, scratch);
        else if (AvxVnniLanes.IsSupported)
            IntegerKernels<T, AvxVnniLanes, Vector256<byte>, Vector256<int>, Vector256<int>, Vector256<float>>.Run(first, _tileBytes, tiles, steps, x, rows, from, fromStride, y, yStride, scratch);
        else if (Avx2Lanes.IsSupported)
            IntegerKernels<T, Avx2Lanes, Vector256<byte>, Vector256<short>, Vector256<int>, Vector256<float>>.Run(first, _tileBytes, tiles, steps, x, rows, from, fromStride, y, yStride, scratch);
        else if (AdvSimdLanes.IsSupported)
            IntegerKernels<T, AdvSimdLanes, Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>.Run(first, _tileBytes, tiles, steps, x, rows, from, fromStride, y, yStride, scratch);
        else
            IntegerKernels<T, PortableLanes, Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>.Run(first, _tileBytes, tiles, steps, x, rows, from, fromStride, y, yStride, scratch);
    }
}
