using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Capture;

/// <summary>The sites of one block, found from its sums.</summary>
internal sealed class BlockSites
{
    private readonly SiteMap _map;
    private readonly Graph _graph;
    private readonly int _block;
    private readonly Value _entry;
    private readonly HashSet<Value> _stream = []; // the entry, the sums on it, and norms of either

    private BlockSites(SiteMap map, Graph graph, int block) => (_map, _graph, _block, _entry) = (map, graph, block, graph.HiddenStates[block]);

    public static void AddTo(SiteMap map, Graph graph, int block, Value exit)
    {
        var sites = new BlockSites(map, graph, block);
        sites.FindStream(exit);
        sites.AddAll(exit);
    }

    private sealed record Sum(Value Result, Value Before, Value Addend);

    /// <summary>What a sublayer reads of the stream, and its attention if it has one.</summary>
    private sealed record Slice(IReadOnlyList<Value> StreamInputs, Value? Attention, IReadOnlyList<Value> Nodes);

    private void AddAll(Value exit)
    {
        string Name(string rest) => SiteNames.In(_block, rest);
        _map.Add(Name("hook_resid_pre"), _entry, _block);
        if (PathFrom(exit) is not ({ Count: > 0 } sums, var pathNorms)) return;
        var (attention, mlp) = Sublayers(sums);
        bool together = sums.Count == 1 && attention is not null && mlp is not null;
        // The MLP reads what attention wrote, or (parallel) the entry alone.
        var mid = attention is not null && mlp is not null && !together && sums.FindIndex(s => s.Addend == attention.Addend) == 0 && SliceOf(mlp.Addend).StreamInputs.Any(v => v.Node >= attention.Result.Node) ? attention : null;
        var slices = new[] { attention, mlp }.Select(s => s is null ? null : SliceOf(s.Addend)).ToArray();
        if (pathNorms.Count == 0) AddPreNorms(slices);
        if (attention is not null)
        {
            AddAttention(slices[0]!);
            AddSublayer(attention.Addend, attention.Before, "attn");
        }
        if (mid is not null) _map.Add(Name("hook_resid_mid"), mid.Result, _block);
        if (mlp is not null)
        {
            AddMlp(slices[1]!);
            AddSublayer(mlp.Addend, mid is null && pathNorms.Count == 0 ? _entry : mlp.Before, "mlp");
        }
        for (int i = 0; i < pathNorms.Count && i < 2; i++) _map.AddNorm(Name($"ln{i + 1}"), pathNorms[i], _block);
        _map.Add(Name("hook_resid_post"), sums[^1].Result, _block);
    }

    // Values that carry the stream, in order of the nodes up to the exit.
    private void FindStream(Value exit)
    {
        _stream.Add(_entry);
        for (int i = _entry.Node + 1; i <= exit.Node; i++)
        {
            var node = _graph.Nodes[i];
            if (node.Block == _block && node.Op is Add or Norm or Center or Scale && node.Inputs.Any(_stream.Contains)) _stream.Add(new Value(i));
        }
    }

    // The sums from the entry to the exit, and the norms that stand between them; null where something else does.
    private (List<Sum> Sums, List<Value> Norms)? PathFrom(Value exit)
    {
        var sums = new List<Sum>();
        var norms = new List<Value>();
        for (var value = exit; value != _entry;)
        {
            var node = _graph.Nodes[value.Node];
            if (!_stream.Contains(value) || node.Block != _block) return null;
            if (node.Op is Add)
            {
                bool first = _stream.Contains(node.Inputs[0]);
                sums.Insert(0, new Sum(value, node.Inputs[first ? 0 : 1], node.Inputs[first ? 1 : 0]));
                value = sums[0].Before;
                continue;
            }
            if (node.Op is Norm) norms.Insert(0, value);
            value = node.Inputs[0];
        }
        return (sums, norms);
    }

    // The sum that attention makes and the one that the MLP makes; one sum of both counts as either.
    private (Sum? Attention, Sum? Mlp) Sublayers(List<Sum> sums)
    {
        if (sums is [var only] && _graph.OpOf(only.Addend) is Add && _graph.Nodes[only.Addend.Node].Inputs is [var a, var b])
        {
            bool first = HasAttention(a), second = HasAttention(b);
            if (first != second) return (only with { Addend = first ? a : b }, only with { Addend = first ? b : a });
        }
        return (sums.Find(s => HasAttention(s.Addend)), sums.Find(s => !HasAttention(s.Addend)));
    }

    private bool HasAttention(Value addend) => SliceOf(addend).Attention is not null;

    // All that the value is computed from within the block, back to the stream.
    private Slice SliceOf(Value value)
    {
        var seen = new HashSet<Value>();
        var inputs = new List<Value>();
        Value? attention = null;
        var open = new Stack<Value>([value]);
        while (open.TryPop(out var next))
        {
            if (!seen.Add(next)) continue;
            if (_stream.Contains(next))
            {
                inputs.Add(next);
                continue;
            }
            if (_graph.OpOf(next) is Attention) attention = next;
            foreach (var input in _graph.Nodes[next.Node].Inputs)
                if (_graph.Nodes[input.Node].Block == _block || _stream.Contains(input)) open.Push(input);
        }
        return new Slice([.. inputs.OrderBy(v => v.Node)], attention, [.. seen.Where(v => !_stream.Contains(v)).OrderBy(v => v.Node)]);
    }

    private void AddPreNorms(Slice?[] slices)
    {
        Value? first = null;
        for (int i = 0; i < slices.Length; i++)
            if (slices[i]?.StreamInputs.Where(v => _graph.OpOf(v) is Norm && _graph.Nodes[v.Node].Block == _block).Cast<Value?>().FirstOrDefault() is { } norm && norm != first)
            {
                _map.AddNorm(SiteNames.In(_block, $"ln{i + 1}"), norm, _block);
                first ??= norm;
            }
    }

    // hook_attn_out / hook_mlp_out (what is added), the sublayer's own result, and the post-norm between them.
    private void AddSublayer(Value addend, Value stream, string which)
    {
        Value? post = null;
        var own = addend;
        while (_graph.OpOf(own) is Norm or Scale)
        {
            if (_graph.OpOf(own) is Norm) post = own;
            own = _graph.Nodes[own.Node].Inputs[0];
        }
        _map.Add(SiteNames.In(_block, $"{which}.hook_out"), own, _block);
        if (post is { } norm) _map.AddNorm(SiteNames.In(_block, which == "attn" ? "ln1_post" : "ln2_post"), norm, _block, withInput: true);
        _map.Add(SiteNames.In(_block, $"hook_{which}_out"), addend, _block, _graph.TypeOf(stream) == _graph.TypeOf(addend) ? stream : null);
    }

    private void AddAttention(Slice slice)
    {
        if (slice.Attention is not { } output) return;
        var node = _graph.Nodes[output.Node];
        var keys = _graph.OpOf(node.Inputs[1]) is KvAppend ? _graph.Nodes[node.Inputs[1].Node].Inputs : node.Inputs.RemoveAt(0);
        AddProjection("q", node.Inputs[0]);
        AddProjection("k", keys[0]);
        if (keys.Length > 1) AddProjection("v", keys[1]);
        _map.Add(SiteNames.In(_block, "attn.hook_z"), output, _block);
        int heads = ((Attention)node.Op).Spec.Heads;
        _map.Add(SiteNames.AttentionEntropy(_block), output, _block, form: SiteForm.AttentionEntropy, width: heads);
        _map.Add(SiteNames.AttentionLargest(_block), output, _block, form: SiteForm.AttentionLargest, width: heads);
        _map.Add(SiteNames.AttentionSink(_block), output, _block, form: SiteForm.AttentionSink, width: heads);
    }

    // The projection itself, before head norms and rotation, and what attention reads.
    private void AddProjection(string which, Value read)
    {
        var own = read;
        while (_graph.OpOf(own) is Rope or Norm) own = _graph.Nodes[own.Node].Inputs[0];
        if (_graph.OpOf(own) is not (Linear or Split or SplitGroups)) return;
        _map.Add(SiteNames.In(_block, $"attn.hook_{which}"), own, _block);
        if (_graph.OpOf(read) is Rope) _map.Add(SiteNames.In(_block, $"attn.hook_rot_{which}"), read, _block);
    }

    private void AddMlp(Slice slice)
    {
        foreach (var value in slice.Nodes)
            if (_graph.OpOf(value) is Router)
                _map.Add(SiteNames.In(_block, "mlp.hook_expert_weights"), new Value(value.Node, 1), _block);
        foreach (var value in slice.Nodes)
        {
            var inputs = _graph.Nodes[value.Node].Inputs;
            if (_graph.OpOf(value) is not (Activate or GatedActivate or ClampedGlu) || _graph.TypeOf(value).Width == 1) continue;
            _map.Add(SiteNames.In(_block, "mlp.hook_pre"), inputs[0], _block);
            if (inputs.Length > 1) _map.Add(SiteNames.In(_block, "mlp.hook_pre_linear"), inputs[1], _block);
            _map.Add(SiteNames.In(_block, "mlp.hook_post"), value, _block);
            return;
        }
    }
}
