using Tare.Execution;
using Tare.Graphs.Weights;

namespace Tare.Backends.Reference;

/// <summary>Weights decoded to F64, each expression once.</summary>
internal sealed class ReferenceWeights : IWeightStore
{
    private readonly Dictionary<Weight, double[]> _values = []; // [rows, width]
    private readonly Lock _lock = new();

    public int Count
    {
        get { lock (_lock) return _values.Count; }
    }

    public long Bytes
    {
        get { lock (_lock) return _values.Values.Sum(v => v.LongLength * sizeof(double)); }
    }

    public double[] Get(Weight weight)
    {
        lock (_lock)
        {
            if (_values.TryGetValue(weight, out var values)) return values;
            weight.Prepare();
            values = new double[checked(weight.Rows * weight.Width)];
            weight.Read(0, checked((int)weight.Rows), values);
            _values.Add(weight, values);
            return values;
        }
    }

    public void Dispose() { }
}
