using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Rounds one block of F32 [values of the block] to its stored bytes.</summary>
internal delegate void BlockRounding(ReadOnlySpan<float> values, Span<byte> block);

/// <summary>Rounds rows of F32 to a stored type. Types with one scale a block give the bytes of ggml's reference code; the others search for good scales, so that a better search may come.</summary>
internal static class BlockEncoder
{
    private static readonly Dictionary<TensorType, BlockRounding> Encoders = new()
    {
        [TensorType.F32] = (values, block) => BinaryPrimitives.WriteSingleLittleEndian(block, values[0]),
        [TensorType.F16] = (values, block) => BinaryPrimitives.WriteHalfLittleEndian(block, (Half)values[0]),
        [TensorType.BF16] = (values, block) => BinaryPrimitives.WriteUInt16LittleEndian(block, BrainFloat(values[0])),
        [TensorType.Q8_0] = Q8_0Encoder.Encode,
        [TensorType.Q4_0] = Q4_0Encoder.Encode,
        [TensorType.Q4_1] = Q4_1Encoder.Encode,
        [TensorType.Q5_0] = Q5_0Encoder.Encode,
        [TensorType.Q5_1] = Q5_1Encoder.Encode,
        [TensorType.Q4_K] = Q4_KEncoder.Encode,
        [TensorType.Q5_K] = Q5_KEncoder.Encode,
        [TensorType.Q6_K] = Q6_KEncoder.Encode,
        [TensorType.IQ4_NL] = IQ4_NLEncoder.Encode,
        [TensorType.MXFP4] = MXFP4Encoder.Encode,
    };

    /// <summary>Types that can be written.</summary>
    public static IReadOnlyList<TensorType> Types { get; } = [.. Encoders.Keys];

    /// <summary>Encodes values (whole blocks) into <paramref name="target"/>, which must have their exact size.</summary>
    public static void Encode(TensorType type, ReadOnlySpan<float> values, Span<byte> target)
    {
        if (!BlockFormats.TryGet(type, out var format) || !Encoders.TryGetValue(type, out var encode)) throw new ArgumentException($"{TensorTypes.Describe(type)} can't be written (can be: {string.Join(", ", Types)})");
        int size = format.ValuesPerBlock, bytes = format.BytesPerBlock;
        if (values.Length % size != 0 || target.Length != values.Length / size * bytes) throw new ArgumentException($"{type}: {target.Length} bytes are not {values.Length} values");
        for (int i = 0; i < values.Length / size; i++) encode(values.Slice(i * size, size), target.Slice(i * bytes, bytes));
    }

    /// <summary>Rounds to nearest even on the upper half of the bits; a NaN stays one.</summary>
    public static ushort BrainFloat(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)(bits >> 16 | 0x40) : (ushort)(bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }
}
