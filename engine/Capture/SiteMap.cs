using System.Diagnostics.CodeAnalysis;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Capture;

/// <summary>
/// The sites of a graph, found from its wiring alone: the entries of the blocks are known, what is added to the stream follows from the sums between two entries, and the rest from what those sums read. No
/// architecture says anything about sites, and a rewritten graph has them as far as the values are still there.
/// </summary>
/// <remarks>
/// Names are those of TransformerLens' legacy hooks. <c>hook_attn_out</c> and <c>hook_mlp_out</c> are exactly what is added, after a post-norm and multiplier; the sublayer's own result is <c>attn.hook_out</c>,
/// <c>mlp.hook_out</c>. So resid_mid = resid_pre + attn_out and resid_post = resid_mid + mlp_out; parallel blocks have no mid and resid_post = resid_pre + attn_out + mlp_out; where norms stand on the stream
/// itself (post-LN), resid_post = ln1.hook_out + mlp_out, and the next resid_pre is ln2.hook_out.
/// </remarks>
public sealed class SiteMap
{
    private readonly Graph _graph;
    private readonly Dictionary<string, Site> _byName = new(StringComparer.Ordinal);
    private readonly List<Site> _sites = [];

    private SiteMap(Graph graph) => _graph = graph;

    /// <summary>All sites: the embeddings, then block by block, then the final norm.</summary>
    public IReadOnlyList<Site> Sites => _sites;

    /// <summary>Finds a site by its canonical name.</summary>
    public bool TryGet(string name, [NotNullWhen(true)] out Site? site) => _byName.TryGetValue(name, out site);

    /// <summary>Finds the sites of a graph. Throws <see cref="GraphException"/> for graphs without hidden states (cut ones).</summary>
    public static SiteMap Of(Graph graph)
    {
        if (graph.HiddenStates.IsEmpty || graph.Blocks == 0) throw new GraphException("the graph has no blocks whose stream could be named");
        var map = new SiteMap(graph);
        map.AddEmbeddings();
        for (int i = 0; i < graph.Blocks; i++) BlockSites.AddTo(map, graph, i, map.ExitOf(i));
        map.AddFinal();
        return map;
    }

    internal void Add(string name, Value value, int block, Value? partner = null, SiteForm form = SiteForm.Value, int width = 0)
    {
        var site = new Site(name, value, form, block, width > 0 ? width : _graph.TypeOf(value).Width, partner);
        if (_byName.TryAdd(name, site)) _sites.Add(site);
    }

    /// <summary>hook_scale, hook_normalized and hook_out of a norm (and hook_in where it is asked for).</summary>
    internal void AddNorm(string prefix, Value output, int block, bool withInput = false)
    {
        if (_graph.OpOf(output) is not Norm norm) return;
        var input = _graph.Nodes[output.Node].Inputs[0];
        if (withInput) Add($"{prefix}.hook_in", input, block);
        if (norm.Spec.Kind is NormKind.LayerNorm or NormKind.RmsNorm or NormKind.Static)
        {
            Add($"{prefix}.hook_scale", output, block, form: SiteForm.NormScale, width: norm.Spec.Groups);
            Add($"{prefix}.hook_normalized", output, block, input, SiteForm.Normalized);
        }
        Add($"{prefix}.hook_out", output, block, _graph.TypeOf(input) == _graph.TypeOf(output) ? input : null);
    }

    // Where the block's part of the stream ends: the next entry, or what the final norm reads.
    private Value ExitOf(int block)
    {
        if (block + 1 < _graph.Blocks) return _graph.HiddenStates[block + 1];
        var value = _graph.HiddenStates[^1];
        while (_graph.Nodes[value.Node].Block < 0 && _graph.Nodes[value.Node].Inputs is [var input]) value = input;
        return value;
    }

    // Each look-up, followed through ops of one input (scaling, norm, projection) until it is added or enters block 0.
    private void AddEmbeddings()
    {
        var entry = _graph.HiddenStates[0];
        for (int i = 0; i <= entry.Node; i++)
        {
            if (_graph.Nodes[i].Op is not Embed embed) continue;
            var value = new Value(i);
            while (value != entry && SingleReader(value, entry.Node) is { } reader && _graph.Nodes[reader].Inputs.Length == 1 && _graph.OpOf(new Value(reader)) is not SelectRows) value = new Value(reader);
            bool tokens = !embed.Constant && _graph.OpOf(_graph.Nodes[i].Inputs[0]) is Input { Kind: InputKind.Tokens };
            Add(tokens ? SiteNames.Embed : embed.Constant ? SiteNames.TokenTypeEmbed : SiteNames.PositionEmbed, value, -1);
        }
    }

    private int? SingleReader(Value value, int last)
    {
        int? found = null;
        for (int i = value.Node + 1; i <= last; i++)
            if (_graph.Nodes[i].Inputs.Contains(value))
            {
                if (found is not null) return null;
                found = i;
            }
        return found;
    }

    private void AddFinal()
    {
        var last = _graph.HiddenStates[^1];
        var value = last;
        while (_graph.OpOf(value) is not Norm && _graph.Nodes[value.Node].Block < 0 && _graph.Nodes[value.Node].Inputs is [var input]) value = input;
        if (_graph.OpOf(value) is Norm && _graph.Nodes[value.Node].Block < 0) AddNorm("ln_final", value, -1);
        Add(SiteNames.FinalOut, last, -1);
    }
}
