namespace Tare.Graphs.Weights;

/// <summary>A value that a weight computes once, when it is first needed, and that is no part of the weight's equality. Thread-safe.</summary>
internal sealed class Prepared<T> where T : class
{
    private readonly Lock _lock = new();
    private T? _value;

    public T Get(Func<T> compute)
    {
        lock (_lock) return _value ??= compute();
    }

    public override bool Equals(object? obj) => obj is Prepared<T>;

    public override int GetHashCode() => 0;
}
