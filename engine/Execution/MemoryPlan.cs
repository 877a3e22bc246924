using System.Collections.Immutable;
using Tare.Graphs;

namespace Tare.Execution;

/// <summary>A buffer of [axis rows, Width] 32-bit elements that values of one axis share in turn.</summary>
public readonly record struct BufferShape(RowAxis Rows, int Width);

/// <summary>
/// Which buffer each value lives in, by liveness: a buffer is free again after the last node that reads its value. A node never writes a buffer that it reads; outputs of the graph keep
/// theirs to the end. Caches need none.
/// </summary>
public sealed class MemoryPlan
{
    private readonly int[][] _bufferOf; // [nodes][outputs], −1 = none

    private MemoryPlan(int[][] bufferOf, ImmutableArray<BufferShape> buffers) => (_bufferOf, Buffers) = (bufferOf, buffers);

    /// <summary>The buffers.</summary>
    public ImmutableArray<BufferShape> Buffers { get; }

    /// <summary>The buffer of a value, −1 for caches.</summary>
    public int BufferOf(Value value) => _bufferOf[value.Node][value.Output];

    /// <summary>Plans a graph.</summary>
    public static MemoryPlan Create(Graph graph)
    {
        int forever = graph.Nodes.Length;
        var lastUse = graph.Nodes.Select((n, i) => Enumerable.Repeat(i, n.Outputs.Length).ToArray()).ToArray();
        // An observation may run beside the node that follows, which must not write what it reads.
        for (int i = 0, done = 0; i < graph.Nodes.Length; i++)
        {
            for (done = Math.Max(done, i); graph.Nodes[done].Op.IsObservation && done + 1 < forever; done++) { }
            foreach (var input in graph.Nodes[i].Inputs) lastUse[input.Node][input.Output] = Math.Max(lastUse[input.Node][input.Output], done);
        }
        foreach (var output in graph.Outputs) lastUse[output.Value.Node][output.Value.Output] = forever;

        var bufferOf = graph.Nodes.Select(n => new int[n.Outputs.Length]).ToArray();
        var widths = new List<BufferShape>();
        var free = new List<int>();
        var expiring = new List<int>[forever + 1];
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            for (int k = 0; k < bufferOf[i].Length; k++)
            {
                var type = graph.Nodes[i].Outputs[k];
                bufferOf[i][k] = type.Element == ElementType.KvCache ? -1 : graph.Nodes[i].Op.IsObservation ? Fresh(type) : Take(type);
                if (bufferOf[i][k] >= 0) (expiring[lastUse[i][k]] ??= []).Add(bufferOf[i][k]);
            }
            if (expiring[i] is not null) free.AddRange(expiring[i]);
        }
        return new MemoryPlan(bufferOf, [.. widths]);

        // The tightest free buffer that fits; else the widest free one grows; else a new one.
        int Take(ValueInfo type)
        {
            int best = -1;
            foreach (int candidate in free)
            {
                if (widths[candidate].Rows != type.Rows) continue;
                if (best < 0) { best = candidate; continue; }
                bool fits = widths[candidate].Width >= type.Width, bestFits = widths[best].Width >= type.Width;
                if (fits != bestFits ? fits : fits ? widths[candidate].Width < widths[best].Width : widths[candidate].Width > widths[best].Width) best = candidate;
            }
            if (best < 0) return Fresh(type);
            free.Remove(best);
            if (widths[best].Width < type.Width) widths[best] = new BufferShape(type.Rows, type.Width);
            return best;
        }

        int Fresh(ValueInfo type)
        {
            widths.Add(new BufferShape(type.Rows, type.Width));
            return widths.Count - 1;
        }
    }
}
