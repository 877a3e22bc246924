namespace Tare.Backends.Cpu.Weights;

/// <summary>
/// Where the parts of a row of integers lie: codes I8 [width], or I16 [width] in the order 0 2 1 3 of each four; scales F32 [width / 32]; scale · sum of codes F32 [width / 32]. Rows follow each other
/// <see cref="Stride"/> bytes apart, which never exceeds the 4 · width bytes of the F32 row that they replace: what a product reads again and again should fill as little of the caches as it can.
/// </summary>
internal readonly unsafe ref struct QuantizedRow(byte* row, int width, bool wide)
{
    private readonly byte* _row = row;
    private readonly int _width = width;
    private readonly bool _wide = wide;

    public sbyte* Codes => (sbyte*)_row;

    public short* WideCodes => (short*)_row;

    public float* Scales => (float*)(_row + (_wide ? 2L : 1L) * _width);

    public float* Sums => Scales + _width / 32;

    /// <summary>Bytes from row to row, for codes of 8 or (<paramref name="wide"/>) 16 bits; a multiple of 64.</summary>
    public static int Stride(int width, bool wide) => ((wide ? 2 : 1) * width + width / 4 + 63) & ~63;
}
