using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Capture;

/// <summary>What is wanted of a site.</summary>
public enum CaptureLevel
{
    /// <summary>The record of each row (<see cref="RowRecord"/>).</summary>
    Record,

    /// <summary>The rows themselves.</summary>
    Rows,
}

/// <summary>An output of a graph that captures.</summary>
/// <param name="Site">Where.</param>
/// <param name="Level">What.</param>
/// <param name="Output">Name of the graph output; sites that are the same value share one.</param>
/// <param name="Width">Elements a row of the output.</param>
public sealed record CaptureOutput(Site Site, CaptureLevel Level, string Output, int Width);

/// <summary>
/// Another variant of a graph over the same weights and states: the selected sites are outputs, as rows or as records that side nodes take right behind the node that gives the value. Everything else computes
/// what it computed before, so the logits keep their bits.
/// </summary>
public sealed class CaptureGraph
{
    private readonly Graph _source;
    private readonly ImmutableArray<Node>.Builder _nodes = ImmutableArray.CreateBuilder<Node>();
    private readonly Dictionary<Value, Value> _moved = [];
    private readonly Dictionary<(Value, bool, SiteForm, CaptureLevel, Value?), string> _known = [];
    private readonly List<GraphOutput> _added = [];
    private readonly List<CaptureOutput> _outputs = [];

    private CaptureGraph(Graph source) => _source = source;

    /// <summary>The variant.</summary>
    public Graph Graph { get; private set; } = null!;

    /// <summary>Its outputs that hold captures, one for each wanted site.</summary>
    public IReadOnlyList<CaptureOutput> Outputs => _outputs;

    /// <summary>Builds the variant. <paramref name="probes"/> [1 or 2, width] go into the records of sites of that width.</summary>
    public static CaptureGraph Create(Graph graph, IEnumerable<(Site Site, CaptureLevel Level)> wanted, Weight? probes = null)
    {
        var result = new CaptureGraph(graph);
        var byNode = wanted.GroupBy(w => Math.Max(w.Site.Value.Node, w.Site.Partner?.Node ?? 0)).ToDictionary(g => g.Key, g => g.ToList());
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var here = byNode.GetValueOrDefault(i) ?? [];
            result.Copy(i, here.Any(w => w.Site.IsHeads));
            foreach (var (site, level) in here) result.Tap(site, level, probes);
        }
        var all = new Graph(result._nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = result._moved[o.Value] })], [.. graph.HiddenStates.Select(v => result._moved[v])], graph.Blocks);
        result.Graph = Verifier.Verify(all.WithOutputs([.. all.Outputs, .. result._added]));
        return result;
    }

    // Attention gives statistics of its heads where a site wants them.
    private void Copy(int index, bool heads)
    {
        var node = _source.Nodes[index];
        var op = heads && node.Op is Attention attention ? attention with { Statistics = true } : node.Op;
        _nodes.Add(node with { Op = op, Inputs = [.. node.Inputs.Select(v => _moved[v])], Outputs = op.Infer([.. node.Inputs.Select(_source.TypeOf)]) });
        for (int k = 0; k < node.Outputs.Length; k++) _moved[new Value(index, k)] = new Value(_nodes.Count - 1, k);
    }

    private void Tap(Site site, CaptureLevel level, Weight? probes)
    {
        var key = (site.Value, site.IsBefore, site.Form, level, level == CaptureLevel.Record ? site.Partner : null);
        if (!_known.TryGetValue(key, out string? name))
        {
            var value = ValueOf(site);
            if (level == CaptureLevel.Record)
            {
                var own = probes?.Width == site.Width ? probes : null;
                value = Append(new RowStatistics(own), site.Block, site.Partner is { } partner ? [value, _moved[partner]] : [value]);
            }
            _known.Add(key, name = level == CaptureLevel.Record ? $"{site.Name}#record" : site.Name);
            _added.Add(new GraphOutput(name, value));
        }
        _outputs.Add(new CaptureOutput(site, level, name, level == CaptureLevel.Record ? RowRecord.Words : site.Width));
    }

    private Value ValueOf(Site site)
    {
        var source = _moved[site.Value];
        var node = _nodes[source.Node];
        return (site.Form, node.Op) switch
        {
            (SiteForm.Value, _) => source,
            (SiteForm.AttentionEntropy, Attention) => new Value(source.Node, Attention.Entropy),
            (SiteForm.AttentionLargest, Attention) => new Value(source.Node, Attention.Largest),
            (SiteForm.AttentionSink, Attention) => new Value(source.Node, Attention.First),
            (SiteForm.NormScale, Norm norm) => Append(new NormScale(norm.Spec), site.Block, node.Inputs[0]),
            (SiteForm.Normalized, Norm { Gain: null, Bias: null }) => source,
            (SiteForm.Normalized, Norm norm) => Append(new Norm(norm.Spec with { GainOffset = 0 }, null, null), site.Block, node.Inputs[0]),
            _ => throw new GraphException($"{site.Name} is not a value of {node.Op.Name}"),
        };
    }

    private Value Append(Op op, int block, params ReadOnlySpan<Value> inputs)
    {
        var types = new ValueInfo[inputs.Length];
        for (int i = 0; i < types.Length; i++) types[i] = _nodes[inputs[i].Node].Outputs[inputs[i].Output];
        _nodes.Add(new Node(op, [.. inputs], op.Infer(types), block));
        return new Value(_nodes.Count - 1);
    }
}
