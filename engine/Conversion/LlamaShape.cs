using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Conversion;

/// <summary>
/// A graph that the Llama architecture can express: RMSNorm with a gain or none before attention and before a SiLU-gated MLP, rotary positions over whole heads, no biases. Recognized by its nodes, whatever
/// the file was; OLMo becomes one once its norms are RMSNorms.
/// </summary>
internal sealed class LlamaShape
{
    private readonly Graph _graph;
    private int _at;

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

    /// <summary>The shape of a graph, or null where it is no Llama. <paramref name="pairing"/> is the order of rotary pairs that the target format has.</summary>
    public static LlamaShape? Find(Graph graph, RopePairing pairing)
    {
        var shape = new LlamaShape(graph);
        return graph.FindOutput(GraphBuilder.LogitsOutput) is not null && graph.Outputs.Length == 1 && shape.Matches(pairing) ? shape : null;
    }

    private bool Matches(RopePairing pairing)
    {
        if (!Next<Embed>(out var embed) || embed.Offset != 0 || embed.Constant) return false;
        Width = embed.Table.Width;
        Add("model.embed_tokens", "token_embd", embed.Table);
        for (int i = 0; i < _graph.Blocks; i++)
            if (!Block($"model.layers.{i}.", $"blk.{i}.")) return false;
        if (!Next<SelectRows>(out _) || !Norm("model.norm", "output_norm") || !Next<Linear>(out var head) || head.Bias is not null || _at != _graph.Nodes.Length) return false;
        Vocabulary = checked((int)head.Weight.Rows);
        Add("lm_head", "output", head.Weight);
        return Rope.Pairing == pairing && HasPlainRotation() && IsWiredLikeOne();
    }

    private bool Block(string huggingFace, string gguf)
    {
        if (!Norm($"{huggingFace}input_layernorm", $"{gguf}attn_norm")) return false;
        foreach (string which in new[] { "q", "k", "v" })
            if (!Product($"{huggingFace}self_attn.{which}_proj", $"{gguf}attn_{which}")) return false;
        if (!Next<Rope>(out var query) || !Next<Rope>(out var key) || key != query with { Spec = query.Spec with { Heads = key.Spec.Heads } } || (Rope is not null && query.Spec != Rope)) return false;
        Rope = query.Spec;
        if (!Next<KvAppend>(out _) || !Next<Attention>(out var attention) || (Attention is not null && attention.Spec != Attention)) return false;
        Attention = attention.Spec;
        if (!Product($"{huggingFace}self_attn.o_proj", $"{gguf}attn_output") || !Next<Add>(out _) || !Norm($"{huggingFace}post_attention_layernorm", $"{gguf}ffn_norm")) return false;
        if (!Product($"{huggingFace}mlp.gate_proj", $"{gguf}ffn_gate") || !Product($"{huggingFace}mlp.up_proj", $"{gguf}ffn_up")) return false;
        Inner = checked((int)Weights[^1].Weight.Rows);
        if (!Next<GatedActivate>(out var gated) || gated.Kind != ActivationKind.Silu) return false;
        return Product($"{huggingFace}mlp.down_proj", $"{gguf}ffn_down") && Next<Add>(out _);
    }

    private bool Norm(string huggingFace, string gguf)
    {
        if (!Next<Norm>(out var norm) || norm.Bias is not null || norm.Spec != NormSpec.RmsNorm(norm.Spec.Epsilon) || (!double.IsNaN(Epsilon) && !Epsilon.Equals(norm.Spec.Epsilon))) return false;
        Epsilon = norm.Spec.Epsilon;
        Add(huggingFace, gguf, norm.Gain ?? new UniformWeight(1, Width, 1));
        return true;
    }

    private bool Product(string huggingFace, string gguf)
    {
        if (!Next<Linear>(out var linear) || linear.Bias is not null || !linear.Adapters.IsEmpty) return false;
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
        return op is not null;
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
