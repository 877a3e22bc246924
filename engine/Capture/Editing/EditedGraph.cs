using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Capture.Editing;

/// <summary>
/// Another variant of a graph over the same weights and states: an <see cref="Edit"/> stands behind each edited value, and all that read the value read what it gives. Rows of slot 0 keep their bits, so one variant for a
/// set of sites serves requests with any edits there, and requests with none.
/// </summary>
public sealed class EditedGraph
{
    private readonly Dictionary<Value, Value> _before = [], _after = []; // values of the source in the variant: as computed, and as the rest of the model sees them

    private EditedGraph() { }

    /// <summary>The variant.</summary>
    public Graph Graph { get; private set; } = null!;

    /// <summary>Builds the variant that edits some columns of <paramref name="sites"/>.</summary>
    public static EditedGraph Create(Graph graph, EditableSites sites, IEnumerable<int> columns)
    {
        var edited = columns.ToDictionary(c => sites.Values[c]);
        var result = new EditedGraph();
        var nodes = ImmutableArray.CreateBuilder<Node>();
        var twins = Twins(graph);
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            int index = nodes.Count;
            nodes.Add(node with { Inputs = [.. node.Inputs.Select(v => result._after[v])] });
            for (int k = 0; k < node.Outputs.Length; k++)
            {
                Value old = new(i, k), copy = new(index, k);
                result._before[old] = result._after[old] = copy;
                if (!edited.TryGetValue(twins.GetValueOrDefault(old, old), out int column)) continue;
                nodes.Add(new Node(new Edit(column, sites.Names[column]), [copy], [node.Outputs[k]], node.Block));
                result._after[old] = new Value(nodes.Count - 1);
            }
        }
        result.Graph = Verifier.Verify(new Graph(nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = result._after[o.Value] })], [.. graph.HiddenStates.Select(v => result._after[v])], graph.Blocks));
        return result;
    }

    /// <summary>A site of the source in the variant: the value that the rest of the model sees, or the one before the edit where the site asks for it.</summary>
    public Site Move(Site site) => site with
    {
        Value = (site.IsBefore || site.Form != SiteForm.Value ? _before : _after)[site.Value],
        Partner = site.Partner is { } partner ? _after[partner] : null,
    };

    // Values that exist twice: the head works on selected rows, with nodes of its own for what all rows have too (the final norm). Value of selected rows → value of all rows.
    private static Dictionary<Value, Value> Twins(Graph graph)
    {
        var twins = new Dictionary<Value, Value>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            if (node.Op is SelectRows || node.Outputs[0].Rows != RowAxis.OutputRows || !node.Inputs.All(v => twins.ContainsKey(v) || graph.OpOf(v) is SelectRows)) continue;
            ImmutableArray<Value> inputs = [.. node.Inputs.Select(v => graph.OpOf(v) is SelectRows ? graph.Nodes[v.Node].Inputs[0] : twins[v])];
            for (int j = 0; j < graph.Nodes.Length; j++)
                if (j != i && graph.Nodes[j].Op == node.Op && graph.Nodes[j].Inputs.SequenceEqual(inputs))
                    for (int k = 0; k < node.Outputs.Length; k++) twins[new Value(i, k)] = new Value(j, k);
        }
        return twins;
    }
}
