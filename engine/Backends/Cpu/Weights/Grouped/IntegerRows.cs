namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Rows of integer activations for a product: [rows] <see cref="QuantizedRow"/>s, <c>Stride</c> bytes apart, from the step <c>FirstStep</c> of k on.</summary>
internal readonly unsafe ref struct IntegerRows(byte* first, int stride, int width, bool wide, int firstStep = 0)
{
    public readonly byte* First = first;
    public readonly int Stride = stride, Width = width, FirstStep = firstStep;
    public readonly bool Wide = wide;

    /// <summary>Row <paramref name="index"/>, all of it.</summary>
    public QuantizedRow Row(int index) => new(First + (long)index * Stride, Width, Wide);

    /// <summary>The rows from <paramref name="row"/> on, from a later step on.</summary>
    public IntegerRows From(int row, int step) => new(First + (long)row * Stride, Stride, Width, Wide, FirstStep + step);
}

/// <summary>Four neighboring rows from a step on: where each part of the first lies, and how far it is to the next row.</summary>
internal readonly unsafe ref struct FourRows
{
    public readonly sbyte* Codes;
    public readonly short* WideCodes;
    public readonly float* Scales, Sums;
    public readonly int* Starts, HalfStarts;
    public readonly int Stride;
    public readonly bool Wide;

    public FourRows(in IntegerRows rows, int first, int step)
    {
        var row = rows.Row(first);
        step += rows.FirstStep;
        (Stride, Wide) = (rows.Stride, rows.Wide);
        Codes = row.Codes + 32 * step;
        WideCodes = row.WideCodes + 32 * step;
        Scales = row.Scales + step;
        Sums = row.Sums + step;
        Starts = row.Starts + step;
        HalfStarts = row.HalfStarts + 2 * step;
    }
}
