using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>One block type as a compile-time policy: its sizes and the decoding of a single block.</summary>
internal interface IBlockLayout
{
    /// <summary>The type that this layout stores.</summary>
    static abstract TensorType Type { get; }

    /// <summary>Weights in one block.</summary>
    static abstract int ValuesPerBlock { get; }

    /// <summary>Bytes of one block.</summary>
    static abstract int BytesPerBlock { get; }

    /// <summary>Decodes one block [BytesPerBlock] to its weights [ValuesPerBlock], one weight at a time, as the format is written down.</summary>
    static abstract void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights);

    /// <summary>Decodes one block [BytesPerBlock] to its weights [ValuesPerBlock], sixteen weights at a time.</summary>
    static abstract void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights);
}

/// <summary>The format of a block type: walks the blocks of <typeparamref name="TLayout"/>.</summary>
internal sealed class BlockFormat<TLayout>() : BlockFormat(TLayout.Type, TLayout.ValuesPerBlock, TLayout.BytesPerBlock) where TLayout : struct, IBlockLayout
{
    protected override void DecodeFast(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        if (!Vector128.IsHardwareAccelerated)
        {
            DecodeEach(blocks, values);
            return;
        }

        for (; blocks.Length > 0; blocks = blocks[TLayout.BytesPerBlock..], values = values[TLayout.ValuesPerBlock..])
            TLayout.DecodeVector(blocks[..TLayout.BytesPerBlock], values[..TLayout.ValuesPerBlock]);
    }

    protected override void DecodeEach(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; blocks.Length > 0; blocks = blocks[TLayout.BytesPerBlock..], values = values[TLayout.ValuesPerBlock..])
            TLayout.DecodePlain(blocks[..TLayout.BytesPerBlock], values[..TLayout.ValuesPerBlock]);
    }
}
