using System.Collections.Immutable;
using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>The rows of several weights, one after the other (fused projections, stacked experts).</summary>
public sealed record ConcatWeight : Weight
{
    private readonly long[] _starts; // [parts + 1], first row of each part

    /// <summary>Joins weights of one width. Parts of different types give F32.</summary>
    public ConcatWeight(ImmutableArray<Weight> parts)
    {
        if (parts.IsDefaultOrEmpty) throw new ArgumentException("nothing to join");
        if (parts.Any(p => p.Width != parts[0].Width)) throw new GraphException($"Concat: {string.Join(", ", parts.Select(p => $"{p} [{p.Rows},{p.Width}]"))} differ in width");
        Parts = parts;
        _starts = new long[parts.Length + 1];
        for (int i = 0; i < parts.Length; i++) _starts[i + 1] = _starts[i] + parts[i].Rows;
    }

    /// <summary>The joined weights.</summary>
    public ImmutableArray<Weight> Parts { get; }

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => Parts;

    /// <inheritdoc/>
    public override long Rows => _starts[^1];

    /// <inheritdoc/>
    public override int Width => Parts[0].Width;

    /// <inheritdoc/>
    public override TensorType Type => Parts.All(p => p.Type == Parts[0].Type) ? Parts[0].Type : TensorType.F32;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        foreach (var part in Parts) part.Prepare(cancel);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int done = 0; done < count;)
        {
            var (part, row, run) = Locate(firstRow + done, count - done);
            part.Read(row, run, destination.Slice(done * Width, run * Width));
            done += run;
        }
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int done = 0; done < count;)
        {
            var (part, row, run) = Locate(firstRow + done, count - done);
            part.Read(row, run, destination.Slice(done * Width, run * Width));
            done += run;
        }
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        var (part, local, _) = Locate(row, 1);
        if (part.Type == Type) return part.TryGetStoredRow(local, out bytes);
        bytes = default;
        return false;
    }

    /// <inheritdoc/>
    public override void CopyStoredRows(long firstRow, int count, Span<byte> destination)
    {
        int bytes = destination.Length / count;
        for (int done = 0; done < count;)
        {
            var (part, row, run) = Locate(firstRow + done, count - done);
            if (part.Type != Type) throw new InvalidOperationException($"{this}: {part} is stored as {part.Type}, not {Type}");
            part.CopyStoredRows(row, run, destination.Slice(done * bytes, run * bytes));
            done += run;
        }
    }

    /// <inheritdoc/>
    public bool Equals(ConcatWeight? other) => other is not null && Parts.SequenceEqual(other.Parts);

    /// <inheritdoc/>
    public override int GetHashCode() => Parts.Aggregate(31, (hash, part) => HashCode.Combine(hash, part));

    /// <inheritdoc/>
    public override string ToString() => Parts.Length <= 4 ? $"Concat({string.Join(", ", Parts)})" : $"Concat({Parts[0]}, … {Parts.Length} parts)";

    private (Weight Part, long Row, int Run) Locate(long row, int wanted)
    {
        int index = Array.BinarySearch(_starts, row);
        if (index < 0) index = ~index - 1;
        while (Parts[index].Rows == 0) index++;
        return (Parts[index], row - _starts[index], (int)Math.Min(wanted, _starts[index + 1] - row));
    }
}
