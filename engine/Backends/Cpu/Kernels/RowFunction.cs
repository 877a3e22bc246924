namespace Tare.Backends.Cpu.Kernels;

/// <summary>Rows of a value in memory: row i begins at <see cref="First"/> + i · <see cref="Stride"/>.</summary>
internal readonly unsafe struct RowBlock(float* first, long stride)
{
    public float* First => first;

    public long Stride => stride;

    public float* this[int row] => first + row * stride;
}

/// <summary>
/// The arithmetic of an op whose output rows each depend on the same row of its inputs alone, bound to its weights. Chains of such functions run over a few rows at a time, so that what is between them stays in
/// the nearest cache; a function alone is a chain of one.
/// </summary>
internal abstract unsafe class RowFunction
{
    /// <summary>Computes rows <paramref name="row"/> … of the step: <paramref name="x"/> and <paramref name="y"/> hold one block of <paramref name="count"/> rows for each input and output, which begins with that row.</summary>
    public abstract void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y);
}
