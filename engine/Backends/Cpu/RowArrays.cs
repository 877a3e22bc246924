namespace Tare.Backends.Cpu;

/// <summary>Arrays [rows, up to width] that chains work on, filled with rows like those of a residual stream.</summary>
internal sealed class RowArrays : IDisposable
{
    private readonly NativeBuffer<float>[] _arrays;

    /// <summary>Allocates and fills <paramref name="count"/> arrays.</summary>
    public RowArrays(int count, int rows, int width)
    {
        (Rows, Width) = (rows, width);
        _arrays = [.. Enumerable.Range(0, count).Select(_ => new NativeBuffer<float>((long)rows * width, dense: true))];
        var random = new Random(1);
        var pattern = new float[4093]; // coprime to the widths, so that rows differ
        for (int i = 0; i < pattern.Length; i++) pattern[i] = 0.3f + 2 * (random.NextSingle() + random.NextSingle() - 1);
        foreach (var array in _arrays)
            for (long at = 0; at < array.Length; at += pattern.Length)
            {
                int part = (int)Math.Min(pattern.Length, array.Length - at);
                pattern.AsSpan(0, part).CopyTo(array.Span(at, part));
            }
    }

    public int Rows { get; }

    public int Width { get; }

    public int Count => _arrays.Length;

    public NativeBuffer<float> this[int index] => _arrays[index];

    public void Dispose()
    {
        foreach (var array in _arrays) array.Dispose();
    }
}
