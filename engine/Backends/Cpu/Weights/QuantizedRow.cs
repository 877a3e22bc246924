namespace Tare.Backends.Cpu.Weights;

/// <summary>
/// Where the parts of a row of integers lie; all fit the 4 · width bytes of the F32 row that they replace: codes I8 [width], or codes I16 [width] in the order 0 2 1 3 of each four (behind a gap of width bytes), scales F32 [width / 32],
/// scale · sum of codes F32 [width / 32].
/// </summary>
internal readonly unsafe ref struct QuantizedRow(float* row, int width)
{
    private readonly byte* _row = (byte*)row;
    private readonly int _width = width;

    public sbyte* Codes => (sbyte*)_row;

    public short* WideCodes => (short*)(_row + _width);

    public float* Scales => (float*)(_row + 3L * _width);

    public float* Sums => (float*)(_row + 3L * _width) + _width / 32;
}
