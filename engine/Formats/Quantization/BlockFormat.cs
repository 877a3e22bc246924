namespace Tare.Formats.Quantization;

/// <summary>The layout of one stored element or block type, and its exact decoding to F32. Element types (F32, F16, I8, …) are blocks of one value.</summary>
internal abstract class BlockFormat
{
    /// <summary>The type that this format stores.</summary>
    public abstract TensorType Type { get; }

    /// <summary>Values in one block; a row's width must be a multiple of it.</summary>
    public abstract int ValuesPerBlock { get; }

    /// <summary>Bytes of one block.</summary>
    public abstract int BytesPerBlock { get; }

    /// <summary>Decodes whole blocks: <paramref name="blocks"/> [n · BytesPerBlock] to <paramref name="values"/> [n · ValuesPerBlock].</summary>
    public abstract void Decode(ReadOnlySpan<byte> blocks, Span<float> values);
}
