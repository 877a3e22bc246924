using Tare.Execution;
using Tare.Formats;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Packed weights, each expression once a use: tiles for matrix products, rows for look-ups, vectors for gains and biases.</summary>
internal sealed class CpuWeights(int threads) : IWeightStore
{
    private readonly Dictionary<(Weight, object), object> _packed = [];
    private readonly WeightMemory _memory = new();
    private readonly Lock _lock = new();

    public int Count
    {
        get { lock (_lock) return _packed.Count; }
    }

    public long Bytes
    {
        get { lock (_lock) return _packed.Values.Sum(v => v is PackedMatrix m ? m.Bytes : v is NativeBuffer<float> b ? b.Bytes : 0); }
    }

    /// <summary>Stacked matrices [matrices · rows, width] as tiles of 16 rows. What the file holds of them leaves resident memory again.</summary>
    public PackedMatrix Matrix(Weight weight, int matrices) => Get(weight, ("tiles", matrices), () =>
    {
        var packed = PackedMatrix.Pack(weight, matrices, threads, _memory);
        weight.ReleasePages();
        return packed;
    });

    /// <summary>All elements as F32 in row-major order.</summary>
    public NativeBuffer<float> Values(Weight weight) => Get(weight, "values", () =>
    {
        weight.Prepare();
        var values = new NativeBuffer<float>(checked(weight.Rows * weight.Width));
        for (long r = 0; r < weight.Rows; r++) weight.Read(r, 1, values.Span(r * weight.Width, weight.Width));
        weight.ReleasePages();
        return values;
    });

    /// <summary>A table whose rows are looked up: read from the file as it is where the expression only moves rows, else computed once.</summary>
    public RowTable Table(Weight weight) => Get(weight, "rows", () =>
    {
        weight.Prepare();
        return weight.Rows > 0 && weight.TryGetStoredRow(0, out _) ? new RowTable(weight, null) : new RowTable(weight, Values(weight));
    });

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var packed in _packed.Values) (packed as IDisposable)?.Dispose();
            _packed.Clear();
            _memory.Dispose();
        }
    }

    private T Get<T>(Weight weight, object use, Func<T> pack) where T : class
    {
        lock (_lock)
        {
            if (_packed.TryGetValue((weight, use), out var found)) return (T)found;
            var packed = pack();
            _packed.Add((weight, use), packed);
            return packed;
        }
    }
}

/// <summary>Rows of a table in F32.</summary>
internal sealed class RowTable(Weight weight, NativeBuffer<float>? values)
{
    /// <summary>Reads a row: <paramref name="destination"/> [width].</summary>
    public void Read(long row, Span<float> destination)
    {
        if (values is null) weight.Read(row, 1, destination);
        else values.Span(row * weight.Width, weight.Width).CopyTo(destination);
    }
}
