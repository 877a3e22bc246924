using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics.Integers;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Products with tiles of grouped integers, and their values; lanes of a vector are outputs. The bits are those of every instruction set.</summary>
internal abstract unsafe class GroupedKernels<T> where T : struct, IGroupedIntegers
{
    /// <summary>On the widest instructions that this processor has.</summary>
    public static GroupedKernels<T> Widest { get; } =
        Avx512Lanes.IsSupported ? new LaneKernels<T, Avx512Lanes, Vector512<byte>, Vector512<short>, Vector512<int>, Vector512<float>>()
        : AvxVnniLanes.IsSupported ? new LaneKernels<T, AvxVnniLanes, Vector256<byte>, Vector256<int>, Vector256<int>, Vector256<float>>()
        : Avx2Lanes.IsSupported ? new LaneKernels<T, Avx2Lanes, Vector256<byte>, Vector256<short>, Vector256<int>, Vector256<float>>()
        : AdvSimdLanes.IsSupported ? new LaneKernels<T, AdvSimdLanes, Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>()
        : new LaneKernels<T, PortableLanes, Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>();

    /// <summary>
    /// y[r][o] = from[r][o] + Σ_k w[o, k] x[r][k] over <paramref name="steps"/> steps of k, for one or two tiles of outputs: from <paramref name="tile"/> on and, <paramref name="tileBytes"/> behind it, the next,
    /// where the first of the steps begins a block; x holds the same steps. from and y are rows of [16 · tiles] floats, <paramref name="fromStride"/> and <paramref name="yStride"/> floats apart.
    /// </summary>
    public abstract void MultiplyIntegers(byte* tile, long tileBytes, int tiles, int steps, in IntegerRows x, int rows, float* from, long fromStride, float* y, long yStride, float* scratch);

    /// <summary>y[o] += Σ_k w[o, k] x[k] over all <paramref name="steps"/> steps of two tiles, with the bits of a product with their values: x [32 · steps], ya and yb [16]. The tiles may be the same one twice.</summary>
    public abstract void Multiply(byte* a, byte* b, int steps, float* x, float* ya, float* yb);

    /// <summary>The values [32 · steps, 16] of the first <paramref name="steps"/> of the <paramref name="stored"/> steps from the block at <paramref name="blocks"/> to the end of its tile, with the bits of the file's decoder.</summary>
    public abstract void Values(byte* blocks, int stored, int steps, float* values);
}
