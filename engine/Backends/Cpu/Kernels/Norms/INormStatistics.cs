using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>What a kind of norm takes from the elements that it normalizes together.</summary>
internal interface INormStatistics
{
    /// <summary>Mean and scale of <paramref name="x"/> [<paramref name="count"/>]; afterwards all of <see cref="IRow.Stored"/> is written.</summary>
    static abstract (float Mean, float Scale) Of<TRow>(TRow x, int count, NormSpec spec) where TRow : struct, IRow;
}
