using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Graphs.Weights;

/// <summary>
/// A matrix of MXFP4 blocks (OCP Microscaling 1.0) as checkpoints hold it, in two tensors of bytes: blocks [.., rows, width / 32, 16], where byte b holds value 2b below value 2b + 1, and the exponents of their scales
/// [.., rows, width / 32]. Read as rows of <see cref="TensorType.MXFP4"/>: the exponent, then 16 bytes with value b below value b + 16.
/// </summary>
public sealed record MicroscaledWeight : Weight
{
    private const int Values = 32, Nibbles = Values / 2;
    private readonly MappedTensor _blocks, _scales;
    private readonly BlockFormat _format;

    /// <summary>Joins both tensors. Throws <see cref="ModelFileException"/> where their types or shapes don't fit each other.</summary>
    public MicroscaledWeight(Weight blocks, Weight scales)
    {
        if (blocks is not MappedWeight { Tensor: var stored } || scales is not MappedWeight { Tensor: var exponents }) throw new GraphException($"{blocks} and {scales} are not stored tensors");
        if (stored.Type != TensorType.U8 || stored.Shape.Length < 2 || stored.Width != Nibbles) throw new ModelFileException(stored.File, $"{stored.Name}: {stored.TypeName} [{string.Join(", ", stored.Shape)}] are no MXFP4 blocks: U8 [.., groups, {Nibbles}]");
        if (exponents.Type != TensorType.U8 || !exponents.Shape.SequenceEqual(stored.Shape[..^1])) throw new ModelFileException(exponents.File, $"{exponents.Name}: {exponents.TypeName} [{string.Join(", ", exponents.Shape)}] are no scales of {stored.Name} [{string.Join(", ", stored.Shape)}]");
        if (exponents.Width > int.MaxValue / Values) throw new ModelFileException(exponents.File, $"{exponents.Name}: rows of {exponents.Width} groups are too wide");
        (Blocks, Scales, _blocks, _scales) = (blocks, scales, stored, exponents);
        if (!BlockFormats.TryGet(TensorType.MXFP4, out var format)) throw new InvalidOperationException("MXFP4 is not known");
        _format = format;
    }

    /// <summary>Codes.</summary>
    public Weight Blocks { get; }

    /// <summary>Exponents.</summary>
    public Weight Scales { get; }

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Blocks, Scales];

    /// <inheritdoc/>
    public override long Rows => _scales.RowCount;

    /// <inheritdoc/>
    public override int Width => _scales.Width * Values;

    /// <inheritdoc/>
    public override TensorType Type => TensorType.MXFP4;

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int r = 0; r < count; r++) _format.Decode(Row(firstRow + r), destination.Slice(r * Width, Width));
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var row = new float[Width];
        for (int r = 0; r < count; r++)
        {
            Read(firstRow + r, 1, row);
            for (int i = 0; i < row.Length; i++) destination[r * Width + i] = row[i];
        }
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        bytes = Row(row);
        return true;
    }

    /// <inheritdoc/>
    public bool Equals(MicroscaledWeight? other) => other is not null && Blocks == other.Blocks && Scales == other.Scales;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Blocks, Scales);

    /// <inheritdoc/>
    public override string ToString() => $"{Blocks} × {Scales}";

    private byte[] Row(long row)
    {
        int groups = _scales.Width;
        ReadOnlySpan<byte> codes = _blocks.RawRows(row * groups, groups), exponents = _scales.RawRows(row, 1);
        var bytes = new byte[groups * (1 + Nibbles)];
        for (int g = 0; g < groups; g++)
        {
            var from = codes.Slice(g * Nibbles, Nibbles);
            var to = bytes.AsSpan(g * (1 + Nibbles), 1 + Nibbles);
            to[0] = exponents[g];
            for (int b = 0; b < Nibbles; b++) to[1 + b] = (byte)(Nibble(from, b) | Nibble(from, b + Nibbles) << 4);
        }
        return bytes;
    }

    private static int Nibble(ReadOnlySpan<byte> codes, int value) => codes[value / 2] >> 4 * (value & 1) & 15;
}
