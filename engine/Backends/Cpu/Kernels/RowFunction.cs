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
    /// <summary>Bytes of scratch that <see cref="Run"/> wants.</summary>
    public virtual long ScratchBytes => 0;

    /// <summary>
    /// Computes rows <paramref name="row"/> … of the step: <paramref name="x"/> and <paramref name="y"/> hold one block of <paramref name="count"/> rows for each input and output, which begins with that row.
    /// The block of an input on another axis begins with its row 0.
    /// </summary>
    public abstract void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch);
}

/// <summary>A row function whose columns don't depend on each other, or only within a block of 32: it may follow a product tile by tile.</summary>
internal abstract unsafe class ColumnFunction(int width) : RowFunction
{
    /// <summary>Columns that it computes together; ranges start at multiples.</summary>
    public const int Block = 32;

    /// <summary>Elements of a row.</summary>
    protected int Width => width;

    public sealed override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch) => Run(count, 0, width, x, y);

    /// <summary>Computes columns [<paramref name="first"/>, first + <paramref name="columns"/>) of <paramref name="count"/> rows; the blocks begin with column 0.</summary>
    public abstract void Run(int count, int first, int columns, RowBlock* x, RowBlock* y);
}
