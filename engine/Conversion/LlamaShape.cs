using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Rewrites;

namespace Tare.Conversion;

/// <summary>
/// A graph that the Llama architecture can express: RMSNorm with a gain or none before attention and before a SiLU-gated MLP, rotary positions over whole heads, no biases. Recognized by its nodes, whatever
/// the file was; OLMo becomes one once its norms are RMSNorms.
/// </summary>
internal sealed class LlamaShape
{
    private readonly Graph _graph;
    private int _at;
    private string? _reason;

    private LlamaShape(Graph graph) => _graph = graph.WithOutputs(graph.Outputs);

    public AttentionSpec Attention { get; private set; } = null!;

    public RopeSpec Rope { get; private set; } = null!;

    public double Epsilon { get; private set; } = double.NaN;

    public double RopeBase { get; private set; }

    public int Blocks => _graph.Blocks;

    public int Width { get; private set; }

    public int Inner { get; private set; }

    public int Vocabulary { get; private set; }

    /// <summary>Weights by their names in Hugging Face checkpoints and in GGUF.</summary>
    public List<(string HuggingFace, string Gguf, Weight Weight)> Weights { get; } = [];

    /// <summary>
    /// The shape of a graph, or null with the reason why it is no Llama. <paramref name="pairing"/> is the order of rotary pairs that the target format has; rows of queries and keys are put into that of GGUF where they are not.
    /// </summary>
    public static LlamaShape? Find(Graph graph, RopePairing pairing, out string? reason)
    {
        var shape = new LlamaShape(graph);
        bool found = graph.FindOutput(GraphBuilder.LogitsOutput) is not null && graph.Outputs.Length == 1 ? shape.Matches(pairing) : shape.Refuse("it gives something else than logits");
        reason = found ? null : shape._reason;
        return found ? shape : null;
    }

    private bool Matches(RopePairing pairing)
    {
        if (!Next<Embed>(out var embed)) return false;
        if (embed.Offset != 0 || embed.Constant) return RefuseNode("an embedding of tokens alone");
        Width = embed.Table.Width;
        Add("model.embed_tokens", "token_embd", embed.Table);
        for (int i = 0; i < _graph.Blocks; i++)
            if (!Block($"model.layers.{i}.", $"blk.{i}.", pairing)) return false;
        if (!Next<SelectRows>(out _) || !Norm("model.norm", "output_norm") || !Product("lm_head", "output")) return false;
        Vocabulary = checked((int)Weights[^1].Weight.Rows);
        if (_at != _graph.Nodes.Length) return Refuse($"{RewriteReport.Label(_graph, _at)} follows the head");
        if (Rope is null) return Refuse("it has no blocks");
        if (Rope.Pairing != pairing && pairing != RopePairing.Neighbors) return Refuse("its rotary positions pair neighbors, a Llama's checkpoint pairs halves");
        if (!HasPlainRotation()) return Refuse("its rotary positions or its attention are not those of a Llama (scaling, part of a head, a window, another scale, …)");
        return IsWiredLikeOne() || Refuse("its nodes are wired otherwise (as parallel blocks are)");
    }

    private bool Block(string huggingFace, string gguf, RopePairing pairing)
    {
        if (!Norm($"{huggingFace}input_layernorm", $"{gguf}attn_norm")) return false;
        foreach (string which in new[] { "q", "k", "v" })
            if (!Product($"{huggingFace}self_attn.{which}_proj", $"{gguf}attn_{which}")) return false;
        if (!Next<Rope>(out var query) || !Next<Rope>(out var key)) return false;
        if (key != query with { Spec = query.Spec with { Heads = key.Spec.Heads } } || (Rope is not null && query.Spec != Rope)) return RefuseNode("the same rotation everywhere");
        Rope = query.Spec;
        if (pairing == RopePairing.Neighbors && Rope.Pairing == RopePairing.Halves)
            foreach (var (back, spec) in new[] { (3, query.Spec), (2, key.Spec) }) Weights[^back] = Weights[^back] with { Weight = new ReorderedWeight(Weights[^back].Weight, CheckpointConversion.PairsOf(spec)) };
        if (!Next<KvAppend>(out _) || !Next<Attention>(out var attention)) return false;
        if (Attention is not null && attention.Spec != Attention) return RefuseNode("the same attention everywhere");
        Attention = attention.Spec;
        if (!Product($"{huggingFace}self_attn.o_proj", $"{gguf}attn_output") || !Next<Add>(out _) || !Norm($"{huggingFace}post_attention_layernorm", $"{gguf}ffn_norm")) return false;
        if (!Product($"{huggingFace}mlp.gate_proj", $"{gguf}ffn_gate") || !Product($"{huggingFace}mlp.up_proj", $"{gguf}ffn_up")) return false;
        Inner = checked((int)Weights[^1].Weight.Rows);
        if (!Next<GatedActivate>(out var gated)) return false;
        if (gated.Kind != ActivationKind.Silu) return RefuseNode("a gate of SiLU");
        return Product($"{huggingFace}mlp.down_proj", $"{gguf}ffn_down") && Next<Add>(out _);
    }

    private bool Norm(string huggingFace, string gguf)
    {
        if (!Next<Norm>(out var norm)) return false;
        if (norm.Bias is not null || norm.Spec != NormSpec.RmsNorm(norm.Spec.Epsilon)) return RefuseNode("a plain RMSNorm without bias");
        if (!double.IsNaN(Epsilon) && !Epsilon.Equals(norm.Spec.Epsilon)) return RefuseNode($"the ε of the norm before, {Epsilon:G4}");
        Epsilon = norm.Spec.Epsilon;
        Add(huggingFace, gguf, norm.Gain ?? new UniformWeight(1, Width, 1));
        return true;
    }

    private bool Product(string huggingFace, string gguf)
    {
        if (!Next<Linear>(out var linear)) return false;
        if (linear.Bias is not null || !linear.Adapters.IsEmpty) return RefuseNode("a product without bias and adapters");
        Add(huggingFace, gguf, linear.Weight);
        return true;
    }

    private void Add(string huggingFace, string gguf, Weight weight) => Weights.Add(($"{huggingFace}.weight", $"{gguf}.weight", weight));

    // Nodes lie in the order in which a decoder is written down; inputs of the step lie anywhere.
    private bool Next<T>(out T op) where T : Op
    {
        while (_at < _graph.Nodes.Length && _graph.Nodes[_at].Op is Input) _at++;
        op = _at < _graph.Nodes.Length && _graph.Nodes[_at].Op is T found ? found : null!;
        _at++;
        return op is not null || RefuseNode(typeof(T).Name);
    }

    // The node that was read last is not what a Llama has there.
    private bool RefuseNode(string wanted) => Refuse(_at > _graph.Nodes.Length ? $"it ends where a Llama has {wanted}" : $"{RewriteReport.Label(_graph, _at - 1)}: a Llama has {wanted} there");

    private bool Refuse(string reason)
    {
        _reason ??= reason;
        return false;
    }

    // The same ops put together as a Llama is must give the same nodes: order alone does not tell a parallel block from a sequential one.
    private bool IsWiredLikeOne()
    {
        var ops = new Queue<Op>(_graph.Nodes.Select(n => n.Op).Where(op => op is not Input));
        var g = new GraphBuilder();
        Value Next(params ReadOnlySpan<Value> inputs) => g.Append(ops.Dequeue(), inputs);
        Value x = Next(g.Tokens);
        for (int i = 0; i < _graph.Blocks; i++)
        {
            using var _ = g.Block(x);
            Value n = Next(x), q = Next(n), k = Next(n), v = Next(n);
            (q, k) = (Next(q, g.Positions), Next(k, g.Positions));
            Value after = Next(x, Next(Next(q, Next(k, v))));
            n = Next(after);
            Value gate = Next(n), up = Next(n);
            x = Next(after, Next(Next(gate, up)));
        }
        return g.Finish(new GraphOutput(GraphBuilder.LogitsOutput, Next(Next(Next(x))))).Nodes.SequenceEqual(_graph.Nodes);
    }

    // base^(−2i/n) over the whole head, causal attention over all positions, nothing else.
    private bool HasPlainRotation()
    {
        int pairs = Rope.InverseFrequencies.Length;
        RopeBase = pairs > 1 ? Math.Pow(Rope.InverseFrequencies[1], -pairs) : 10000;
        bool plain = Rope.RotatedWidth == Rope.HeadWidth && Rope.Magnitude.Equals(1.0) && Rope.Dynamic is null
            && Enumerable.Range(0, pairs).All(i => Math.Abs(Rope.InverseFrequencies[i] * Math.Pow(RopeBase, (double)i / pairs) - 1) < 1e-9);
        return plain && Attention == new AttentionSpec(Attention.Heads, Attention.KvHeads, Rope.HeadWidth, Rope.HeadWidth, Attention.Scale) && Math.Abs(Attention.Scale * Math.Sqrt(Rope.HeadWidth) - 1) < 1e-9;
    }
}
