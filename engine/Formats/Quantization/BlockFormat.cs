namespace Tare.Formats.Quantization;

/// <summary>The layout of one stored element or block type, and its exact decoding to F32. Element types (F32, F16, I8, …) are blocks of one value.</summary>
internal abstract class BlockFormat(TensorType type, int valuesPerBlock, int bytesPerBlock)
{
    /// <summary>The type that this format stores.</summary>
    public TensorType Type { get; } = type;

    /// <summary>Values in one block; a row's width must be a multiple of it.</summary>
    public int ValuesPerBlock { get; } = valuesPerBlock;

    /// <summary>Bytes of one block.</summary>
    public int BytesPerBlock { get; } = bytesPerBlock;

    /// <summary>Decodes whole blocks: <paramref name="blocks"/> [n · BytesPerBlock] to <paramref name="values"/> [n · ValuesPerBlock].</summary>
    /// <remarks>Safe to call from any thread. Every path gives the same bits (of a NaN, only that it is one).</remarks>
    public void Decode(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        Check(blocks, values);
        DecodeFast(blocks, values);
    }

    /// <summary>The plain form of <see cref="Decode"/>, one value at a time: the oracle of the fast path.</summary>
    public void DecodePlain(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        Check(blocks, values);
        DecodeEach(blocks, values);
    }

    /// <summary>Decodes with vectors where the machine has them; the spans fit each other.</summary>
    protected abstract void DecodeFast(ReadOnlySpan<byte> blocks, Span<float> values);

    /// <summary>Decodes value by value; the spans fit each other.</summary>
    protected abstract void DecodeEach(ReadOnlySpan<byte> blocks, Span<float> values);

    private void Check(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        int count = blocks.Length / BytesPerBlock;
        if (blocks.Length != count * BytesPerBlock || values.Length != (long)count * ValuesPerBlock)
            throw new ArgumentException($"{Type}: {blocks.Length} bytes do not hold {values.Length} values in blocks of {ValuesPerBlock} values, {BytesPerBlock} bytes");
    }
}
