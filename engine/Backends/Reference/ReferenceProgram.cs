using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Runs a graph node by node; a step is finished when Enqueue returns.</summary>
internal sealed class ReferenceProgram(Graph graph, ReferenceWeights weights, ProgramLimits limits, int threads) : IProgram
{
    private readonly int _adapters = graph.Nodes.Select(n => n.Op).OfType<Linear>().Select(l => l.Adapters.Length).DefaultIfEmpty().Max();
    private readonly bool _tokens = graph.Nodes.Any(n => n.Op is Input { Kind: InputKind.Tokens });
    private readonly int _residual = graph.Nodes.Select(n => n.Op).OfType<Input>().Where(i => i.Kind == InputKind.Residual).Select(i => i.Width).FirstOrDefault();
    private readonly ImmutableArray<EditedValue> _edits = EditedValue.Of(graph);
    private double[][][] _values = []; // [nodes][outputs][rows · width]
    private long _tickets;

    public ProgramSignature Signature { get; } = new(graph, KvLayout.Of(graph), limits);

    public StepTicket Enqueue(in Step step, ReadOnlySpan<IState> states)
    {
        var (caches, table) = StepCheck.Check(step, Signature, states, _tokens, _residual, _adapters, _edits);
        var run = new ReferenceStep(step, caches as ReferenceState, table?.Edits, weights, threads);
        if (caches is not null && run.State is null) throw new ArgumentException("the state belongs to another backend");
        CheckIndices(run);
        _values = new double[graph.Nodes.Length][][];
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            var inputs = new double[node.Inputs.Length][];
            for (int k = 0; k < inputs.Length; k++) inputs[k] = _values[node.Inputs[k].Node][node.Inputs[k].Output];
            _values[i] = [.. node.Outputs.Select(t => Fresh(t.Element == ElementType.KvCache ? 1 : (long)run.RowsOf(t.Rows) * t.Width))];
            ReferenceOps.Run(node, [.. node.Inputs.Select(graph.TypeOf)], inputs, _values[i], run);
        }
        return new StepTicket(++_tickets);
    }

    public bool IsDone(StepTicket ticket) => true;

    public void Wait(StepTicket ticket, CancellationToken cancel = default) => Check(ticket);

    public ReadOnlySpan<T> Output<T>(StepTicket ticket, OutputId id) where T : unmanaged
    {
        Check(ticket);
        var value = graph.Outputs[id.Index].Value;
        double[] wide = _values[value.Node][value.Output];
        if (typeof(T) == typeof(double)) return MemoryMarshal.Cast<double, T>(wide);
        if (typeof(T) == typeof(float)) return MemoryMarshal.Cast<float, T>(Array.ConvertAll(wide, v => (float)v).AsSpan());
        throw new ArgumentException($"the Reference backend gives double or float, not {typeof(T).Name}");
    }

    public void Release(StepTicket ticket) { }

    public void Dispose() => _values = [];

    // Every look-up of every table, before anything is written.
    private void CheckIndices(ReferenceStep run)
    {
        foreach (var node in graph.Nodes)
            if (node.Op is Embed { Constant: false } embed)
            {
                bool tokens = graph.OpOf(node.Inputs[0]) is Input { Kind: InputKind.Tokens };
                for (int r = 0; r < run.Rows; r++)
                {
                    long index = (long)(tokens ? run.Tokens[r] : run.PositionOf[r]) + embed.Offset;
                    if (index < 0 || index >= embed.Table.Rows) throw new ArgumentException($"row {r}: {(tokens ? "token id" : "position")} {index - embed.Offset} is outside of {embed.Table} ({embed.Table.Rows} rows)");
                }
            }
    }

    private void Check(StepTicket ticket)
    {
        if (ticket.Id != _tickets) throw new ArgumentException($"ticket {ticket.Id} is not of the last step");
    }

    private static double[] Fresh(long length)
    {
        var values = new double[length];
        Array.Fill(values, double.NaN);
        return values;
    }
}
