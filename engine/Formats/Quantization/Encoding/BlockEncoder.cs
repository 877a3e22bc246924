using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Rounds rows of F32 to a stored type, as ggml's reference code does for the types with one scale a block.</summary>
internal static class BlockEncoder
{
    /// <summary>Types that can be written.</summary>
    public static IReadOnlyList<TensorType> Types { get; } = [TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.Q4_0, TensorType.Q4_1];

    /// <summary>Encodes values (whole blocks) into <paramref name="target"/>, which must have their exact size.</summary>
    public static void Encode(TensorType type, ReadOnlySpan<float> values, Span<byte> target)
    {
        if (!BlockFormats.TryGet(type, out var format) || !Types.Contains(type)) throw new ArgumentException($"{TensorTypes.Describe(type)} can't be written (can be: {string.Join(", ", Types)})");
        int size = format.ValuesPerBlock;
        if (values.Length % size != 0 || target.Length != values.Length / size * format.BytesPerBlock) throw new ArgumentException($"{type}: {target.Length} bytes are not {values.Length} values");
        for (int i = 0; i < values.Length / size; i++) EncodeBlock(type, values.Slice(i * size, size), target.Slice(i * format.BytesPerBlock, format.BytesPerBlock));
    }

    private static void EncodeBlock(TensorType type, ReadOnlySpan<float> values, Span<byte> block)
    {
        switch (type)
        {
            case TensorType.F32: BinaryPrimitives.WriteSingleLittleEndian(block, values[0]); break;
            case TensorType.F16: BinaryPrimitives.WriteHalfLittleEndian(block, (Half)values[0]); break;
            case TensorType.BF16: BinaryPrimitives.WriteUInt16LittleEndian(block, BrainFloat(values[0])); break;
            case TensorType.Q8_0: EncodeQ8(values, block); break;
            case TensorType.Q4_0: EncodeQ4(values, block); break;
            default: EncodeQ4WithMinimum(values, block); break;
        }
    }

    /// <summary>Rounds to nearest even on the upper half of the bits; a NaN stays one.</summary>
    public static ushort BrainFloat(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)(bits >> 16 | 0x40) : (ushort)(bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }

    private static void EncodeQ8(ReadOnlySpan<float> values, Span<byte> block)
    {
        float largest = 0;
        foreach (float v in values) largest = MathF.Max(largest, MathF.Abs(v));
        float scale = largest / 127, inverse = scale == 0 ? 0 : 1 / scale;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        for (int i = 0; i < values.Length; i++) block[2 + i] = (byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero);
    }

    private static void EncodeQ4(ReadOnlySpan<float> values, Span<byte> block)
    {
        float extreme = 0;
        foreach (float v in values)
            if (MathF.Abs(v) > MathF.Abs(extreme)) extreme = v;
        float scale = extreme / -8, inverse = scale == 0 ? 0 : 1 / scale;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        for (int i = 0; i < 16; i++) block[2 + i] = (byte)(Nibble(values[i] * inverse + 8.5f) | Nibble(values[i + 16] * inverse + 8.5f) << 4);
    }

    private static void EncodeQ4WithMinimum(ReadOnlySpan<float> values, Span<byte> block)
    {
        float least = float.MaxValue, most = float.MinValue;
        foreach (float v in values) (least, most) = (MathF.Min(least, v), MathF.Max(most, v));
        float scale = (most - least) / 15, inverse = scale == 0 ? 0 : 1 / scale;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)least);
        for (int i = 0; i < 16; i++) block[4 + i] = (byte)(Nibble((values[i] - least) * inverse + 0.5f) | Nibble((values[i + 16] - least) * inverse + 0.5f) << 4);
    }

    private static int Nibble(float value) => Math.Clamp((int)value, 0, 15);
}
