using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>A type that stores single values and is read rarely: integers, F64 and the eight-bit floats. Values that F32 can't hold are rounded to the nearest.</summary>
internal sealed class ElementFormat(TensorType type, int bytes, ElementFormat.Reader read) : BlockFormat(type, 1, bytes)
{
    /// <summary>Reads the value at the start of a span.</summary>
    public delegate float Reader(ReadOnlySpan<byte> element);

    /// <summary>All of them.</summary>
    public static IEnumerable<ElementFormat> All =>
    [
        new(TensorType.I8, 1, e => (sbyte)e[0]),
        new(TensorType.I16, 2, e => BinaryPrimitives.ReadInt16LittleEndian(e)),
        new(TensorType.I32, 4, e => BinaryPrimitives.ReadInt32LittleEndian(e)),
        new(TensorType.I64, 8, e => BinaryPrimitives.ReadInt64LittleEndian(e)),
        new(TensorType.F64, 8, e => (float)BinaryPrimitives.ReadDoubleLittleEndian(e)),
        new(TensorType.F8_E4M3, 1, e => FromE4M3(e[0])),
        new(TensorType.F8_E5M2, 1, e => F16.ToSingle((ushort)(e[0] << 8))), // the upper half of a half
        new(TensorType.U8, 1, e => e[0]),
        new(TensorType.Bool, 1, e => e[0] == 0 ? 0 : 1),
    ];

    protected override void DecodeFast(ReadOnlySpan<byte> blocks, Span<float> values) => DecodeEach(blocks, values);

    protected override void DecodeEach(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++) values[i] = read(blocks[(i * BytesPerBlock)..]);
    }

    /// <summary>The finite-only variant: bias 7, no infinities, 0x7F and 0xFF are NaN.</summary>
    private static float FromE4M3(byte bits)
    {
        int exponent = bits >> 3 & 15, mantissa = bits & 7;
        float magnitude = (bits & 0x7F) == 0x7F ? float.NaN
            : exponent == 0 ? mantissa / 512f
            : MathF.ScaleB(8 + mantissa, exponent - 10);
        return bits < 0x80 ? magnitude : -magnitude;
    }
}
