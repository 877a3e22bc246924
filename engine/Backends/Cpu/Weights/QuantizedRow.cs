namespace Tare.Backends.Cpu.Weights;

/// <summary>
/// Where the parts of a row of integers lie: codes I8 [width], or I16 [width] in the order 0 2 1 3 of each four; scales F32 [width / 32]; scale · sum of codes F32 [width / 32]. Behind codes of 8 bits also what
/// sums of products with centered weights start from: −8 times the sums of codes 0, 1 and of codes 2, 3 of each four, as pairs of I16, over 32 codes [width / 32] and over 16 [width / 16]. Rows follow each other
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

    public int* Starts => (int*)(Scales + 2 * (_width / 32));

    public int* HalfStarts => Starts + _width / 32;

    /// <summary>Bytes from row to row, for codes of 8 or (<paramref name="wide"/>) 16 bits; a multiple of 64.</summary>
    public static int Stride(int width, bool wide) => ((wide ? 2 * width + width / 4 : width + 5 * (width / 8)) + 63) & ~63;
}
