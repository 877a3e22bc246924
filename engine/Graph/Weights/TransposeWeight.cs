using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>
/// Transposes each of Blocks stacked matrices: source [blocks · r, c] → [blocks · c, r] (GPT-2's Conv1D has one; the per-head matrices of latent attention many).
/// <see cref="Prepare"/> keeps the result, because every row of it needs the whole source.
/// </summary>
/// <remarks>Moving elements keeps F64, F32, F16 and BF16; elements of quantized blocks can't be moved, so those become F32, which is exact.</remarks>
public sealed record TransposeWeight : Weight
{
    private readonly Lock _lock = new();
    private double[]? _wide;  // [Rows, Width], F64 sources only
    private float[]? _values; // [Rows, Width]

    /// <summary>Transposes one matrix or a stack.</summary>
    public TransposeWeight(Weight source, int blocks = 1)
    {
        if (blocks <= 0 || source.Rows % blocks != 0) throw new GraphException($"Transpose: {blocks} blocks don't divide the {source.Rows} rows of {source}");
        (Source, Blocks) = (source, blocks);
    }

    /// <summary>What is transposed.</summary>
    public Weight Source { get; }

    /// <summary>Stacked matrices.</summary>
    public int Blocks { get; }

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => (long)Blocks * Source.Width;

    /// <inheritdoc/>
    public override int Width => checked((int)(Source.Rows / Blocks));

    /// <inheritdoc/>
    public override TensorType Type => Source.Type is TensorType.F64 or TensorType.F16 or TensorType.BF16 ? Source.Type : TensorType.F32;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        lock (_lock)
        {
            if (_values is not null) return;
            Source.Prepare(cancel);
            if (Source.Type == TensorType.F64) _wide = new double[checked(Rows * Width)];
            var values = new float[checked(Rows * Width)];
            var row = new float[Source.Width];
            var wideRow = new double[_wide is null ? 0 : Source.Width];
            for (long r = 0; r < Source.Rows; r++)
            {
                cancel.ThrowIfCancellationRequested();
                Source.Read(r, 1, row);
                long target = r / Width * Source.Width * Width + r % Width;
                for (int c = 0; c < row.Length; c++) values[target + (long)c * Width] = row[c];
                if (_wide is null) continue;
                Source.Read(r, 1, wideRow);
                for (int c = 0; c < row.Length; c++) _wide[target + (long)c * Width] = wideRow[c];
            }
            _values = values;
        }
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Prepare();
        _values!.AsSpan(checked((int)(firstRow * Width)), count * Width).CopyTo(destination);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Prepare();
        int start = checked((int)(firstRow * Width));
        for (int i = 0; i < count * Width; i++) destination[i] = _wide is null ? _values![start + i] : _wide[start + i];
    }

    /// <inheritdoc/>
    public bool Equals(TransposeWeight? other) => other is not null && Blocks == other.Blocks && Source == other.Source;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Source, Blocks, "transpose");

    /// <inheritdoc/>
    public override string ToString() => Blocks == 1 ? $"{Source}ᵀ" : $"{Blocks} × {Source}ᵀ";
}
