using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Execution;

/// <summary>A buffer of [axis rows, Width] 32-bit elements that values of this shape share in turn.</summary>
/// <param name="Rows">The axis.</param>
/// <param name="Width">Elements of a row.</param>
/// <param name="Bits">Of the integers of <see cref="QuantizeRows"/>, whose rows lie as a backend likes; 0 for other values.</param>
public readonly record struct BufferShape(RowAxis Rows, int Width, int Bits = 0);

/// <summary>
/// Which buffer each value lives in, by liveness: a buffer is free again after the last node that reads its value. A node never writes a buffer that it reads; outputs of the graph keep
/// theirs to the end. Row r of a buffer is only ever overwritten by row r of another value, which a program may compute as soon as that row has been read. Caches need none.
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
        for (int i = 0; i < graph.Nodes.Length; i++)
            foreach (var input in graph.Nodes[i].Inputs) lastUse[input.Node][input.Output] = Math.Max(lastUse[input.Node][input.Output], i);
        foreach (var output in graph.Outputs) lastUse[output.Value.Node][output.Value.Output] = forever;

        var bufferOf = graph.Nodes.Select(n => new int[n.Outputs.Length]).ToArray();
        var shapes = new List<BufferShape>();
        var free = new List<int>();
        var expiring = new List<int>[forever + 1];
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            for (int k = 0; k < bufferOf[i].Length; k++)
            {
                var type = graph.Nodes[i].Outputs[k];
                bufferOf[i][k] = type.Element == ElementType.KvCache ? -1 : Take(new BufferShape(type.Rows, type.Width, (graph.OpOf(new Value(i, k)) as QuantizeRows)?.Bits ?? 0));
                if (bufferOf[i][k] >= 0) (expiring[lastUse[i][k]] ??= []).Add(bufferOf[i][k]);
            }
            if (expiring[i] is not null) free.AddRange(expiring[i]);
        }
        return new MemoryPlan(bufferOf, [.. shapes]);

        // A free buffer of the same shape, else a new one: then a row of a buffer is the same memory for every value that lives there, and threads may be at different nodes with different rows.
        int Take(BufferShape shape)
        {
            int found = free.FindIndex(b => shapes[b] == shape);
            if (found < 0)
            {
                shapes.Add(shape);
                return shapes.Count - 1;
            }
            int buffer = free[found];
            free.RemoveAt(found);
            return buffer;
        }
    }
}
