using System.Runtime.InteropServices;
using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>A matrix held in memory. Two constants are equal when they share their array and shape.</summary>
public sealed record ConstantWeight : Weight
{
    private readonly float[] _values; // [Rows, Width]

    /// <summary>Wraps values [rows, width].</summary>
    public ConstantWeight(string name, long rows, int width, float[] values)
    {
        if (rows < 0 || width < 0 || values.LongLength != rows * width) throw new ArgumentException($"{name}: {values.LongLength} values are not [{rows},{width}]");
        (Label, Rows, Width, _values) = (name, rows, width, values);
    }

    /// <summary>The name in dumps.</summary>
    public string Label { get; }

    /// <inheritdoc/>
    public override long Rows { get; }

    /// <inheritdoc/>
    public override int Width { get; }

    /// <inheritdoc/>
    public override TensorType Type => TensorType.F32;

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        _values.AsSpan(checked((int)(firstRow * Width)), count * Width).CopyTo(destination);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var source = _values.AsSpan(checked((int)(firstRow * Width)), count * Width);
        for (int i = 0; i < source.Length; i++) destination[i] = source[i];
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        bytes = MemoryMarshal.AsBytes<float>(_values.AsSpan(checked((int)(row * Width)), Width));
        return true;
    }

    /// <inheritdoc/>
    public bool Equals(ConstantWeight? other) => other is not null && ReferenceEquals(_values, other._values) && Rows == other.Rows && Width == other.Width;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(_values), Rows, Width);

    /// <inheritdoc/>
    public override string ToString() => Label;
}
