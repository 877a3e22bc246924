using System.Collections.Immutable;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Graphs;

/// <summary>Gain and bias of a norm, both optional.</summary>
public readonly record struct NormWeights(Weight? Gain, Weight? Bias = null);

/// <summary>A matrix with its optional bias.</summary>
public readonly record struct LinearWeights(Weight Weight, Weight? Bias = null);

/// <summary>Writes a graph op by op; every call checks shapes at once. An architecture reads like its block diagram.</summary>
public sealed class GraphBuilder
{
    private readonly ImmutableArray<Node>.Builder _nodes = ImmutableArray.CreateBuilder<Node>();
    private readonly ImmutableArray<Value>.Builder _entries = ImmutableArray.CreateBuilder<Value>();
    private readonly Dictionary<Input, Value> _inputs = [];
    private int _block = -1;

    /// <summary>Token ids of the step's rows.</summary>
    public Value Tokens => InputOf(new Input(InputKind.Tokens));

    /// <summary>Absolute positions of the step's rows.</summary>
    public Value Positions => InputOf(new Input(InputKind.Positions));

    /// <summary>A residual stream that another program computed: [Rows, width].</summary>
    public Value Residual(int width) => InputOf(new Input(InputKind.Residual, width));

    /// <summary>Adds any op with one output.</summary>
    public Value Append(Op op, params ReadOnlySpan<Value> inputs) => new(AppendNode(op, inputs));

    /// <summary>Adds any op; returns its outputs.</summary>
    public ImmutableArray<Value> AppendAll(Op op, params ReadOnlySpan<Value> inputs)
    {
        int node = AppendNode(op, inputs);
        return [.. Enumerable.Range(0, _nodes[node].Outputs.Length).Select(i => new Value(node, i))];
    }

    /// <summary>The type of a value.</summary>
    public ValueInfo TypeOf(Value value) => _nodes[value.Node].Outputs[value.Output];

    /// <summary>The row width of a value.</summary>
    public int WidthOf(Value value) => TypeOf(value).Width;

    /// <summary>Begins a transformer block that reads the residual stream <paramref name="stream"/>; dispose to end it.</summary>
    public BlockScope Block(Value stream)
    {
        if (_block >= 0) throw new GraphException("blocks can't be nested");
        _block = _entries.Count;
        _entries.Add(stream);
        return new BlockScope(this);
    }

    /// <summary>Token embedding: [Rows, width].</summary>
    public Value Embed(Weight table) => Append(new Embed(table), Tokens);

    /// <summary>Learned positions; <paramref name="offset"/> is added to each position.</summary>
    public Value EmbedPositions(Weight table, int offset = 0) => Append(new Embed(table, offset), Positions);

    /// <summary>The same row of a table for every token.</summary>
    public Value EmbedConstant(Weight table, int row = 0) => Append(new Embed(table, row, Constant: true));

    /// <summary>A norm.</summary>
    public Value Norm(Value x, NormSpec spec, NormWeights weights = default) => Append(new Norm(spec, weights.Gain, weights.Bias), x);

    /// <summary>W x + b.</summary>
    public Value Linear(Value x, LinearWeights weights) => Append(new Linear(weights.Weight, weights.Bias), x);

    /// <summary>W x.</summary>
    public Value Linear(Value x, Weight weight, Weight? bias = null) => Append(new Linear(weight, bias), x);

    /// <summary>a + b.</summary>
    public Value Add(Value a, Value b) => Append(new Add(), a, b);

    /// <summary>a · b; b may be one wide.</summary>
    public Value Multiply(Value a, Value b) => Append(new Multiply(), a, b);

    /// <summary>factor · x; x itself for factor 1.</summary>
    public Value Scale(Value x, double factor) => factor.Equals(1.0) ? x : Append(new Scale(factor), x);

    /// <summary>cap · tanh(x / cap); x itself without a cap.</summary>
    public Value SoftCap(Value x, double? cap) => cap is null ? x : Append(new SoftCap(cap.Value), x);

    /// <summary>f(x).</summary>
    public Value Activate(Value x, ActivationKind kind) => Append(new Activate(kind), x);

    /// <summary>f(gate) · up.</summary>
    public Value GatedActivate(Value gate, Value up, ActivationKind kind) => Append(new GatedActivate(kind), gate, up);

    /// <summary>Column ranges of a row.</summary>
    public ImmutableArray<Value> Split(Value x, params int[] widths) => AppendAll(new Split([.. widths]), x);

    /// <summary>Rotary positions; x itself without a spec.</summary>
    public Value Rope(Value x, RopeSpec? spec) => spec is null ? x : Append(new Rope(spec), x, Positions);

    /// <summary>Causal attention through the cache of the open block: appends k and v, then attends.</summary>
    public Value Attention(Value q, Value k, Value v, AttentionSpec spec)
    {
        if (spec.Mask == AttentionMask.Bidirectional) return Append(new Attention(spec), q, k, v);
        var cache = Append(new KvAppend(_block, spec.KvHeads, WidthOf(k), WidthOf(v), spec.Window), k, v);
        return Append(new Attention(spec), q, cache);
    }

    /// <summary>Attention whose values are the first part of the cached keys.</summary>
    public Value LatentAttention(Value q, Value latent, AttentionSpec spec)
        => Append(new Attention(spec with { ValueFromKey = true }), q, Append(new KvAppend(_block, spec.KvHeads, WidthOf(latent), 0, spec.Window), latent));

    /// <summary>
    /// Ends a model: <paramref name="final"/> (the final norm, or nothing) gives the last hidden state over all rows; <paramref name="head"/> the logits over the selected rows.
    /// Outputs: <c>logits</c> with a head, else <c>hidden</c>.
    /// </summary>
    public Graph Finish(Value stream, Func<Value, Value> final, Func<Value, Value>? head)
    {
        if (_block >= 0) throw new GraphException("a block is still open");
        var last = final(stream);
        var output = head is null ? new GraphOutput(HiddenOutput, last) : new GraphOutput(LogitsOutput, head(final(Append(new SelectRows(), stream))));
        return Verifier.Verify(new Graph(_nodes.ToImmutable(), [output], [.. _entries, last], _entries.Count));
    }

    /// <summary>Ends any other graph with named outputs and no hidden states.</summary>
    public Graph Finish(params ReadOnlySpan<GraphOutput> outputs) => Verifier.Verify(DeadNodes.Remove(new Graph(_nodes.ToImmutable(), [.. outputs], [], _entries.Count)));

    /// <summary>Name of the output that holds logits: [OutputRows, vocabulary].</summary>
    public const string LogitsOutput = "logits";

    /// <summary>Name of the output of a model without a head: [Rows, width].</summary>
    public const string HiddenOutput = "hidden";

    private Value InputOf(Input input)
    {
        if (!_inputs.TryGetValue(input, out var value)) _inputs.Add(input, value = Append(input));
        return value;
    }

    private int AppendNode(Op op, ReadOnlySpan<Value> inputs)
    {
        var types = new ValueInfo[inputs.Length];
        for (int i = 0; i < types.Length; i++) types[i] = TypeOf(inputs[i]);
        _nodes.Add(new Node(op, [.. inputs], op.Infer(types), op is Input ? -1 : _block));
        return _nodes.Count - 1;
    }

    /// <summary>Ends a block when disposed.</summary>
    public readonly struct BlockScope : IDisposable
    {
        private readonly GraphBuilder _builder;

        internal BlockScope(GraphBuilder builder) => _builder = builder;

        /// <inheritdoc/>
        public void Dispose() => _builder._block = -1;
    }
}
