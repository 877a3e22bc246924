using Tare.Graphs;
using Tare.Graphs.Weights;
using Tare.Rewrites;

namespace Tare.Tests.Support;

/// <summary>A small decoder with random weights and the features that a test wants.</summary>
internal sealed record RandomModel(int Seed = 1, int Vocabulary = 37, int Width = 24, int Heads = 4, int KvHeads = 2, int HeadWidth = 6, int Inner = 31, int Blocks = 3, int? Window = null, bool Adapters = false, DynamicRope? Dynamic = null, KvType KeyType = KvType.F32, KvType ValueType = KvType.F32)
{
    /// <summary>A weight of this model by its name: the same name gives the same object within one <see cref="Build"/>.</summary>
    public static ConstantWeight Matrix(int seed, string name, int rows, int width, double scale = 1)
    {
        var random = new Random(HashCodeOf(name) ^ seed);
        var values = new float[rows * width];
        for (int i = 0; i < values.Length; i++) values[i] = (float)((random.NextDouble() * 2 - 1) * scale / Math.Sqrt(width));
        return new ConstantWeight(name, rows, width, values);
    }

    public Graph Build()
    {
        var g = new GraphBuilder();
        Weight W(string name, int rows, int width) => Matrix(Seed, name, rows, width);
        Value Linear(Value x, string name, int rows)
        {
            int width = g.WidthOf(x);
            var op = new Tare.Graphs.Ops.Linear(W(name, rows, width), W($"{name}.bias", 1, rows));
            if (Adapters) op = op with { Adapters = [new(W($"{name}.a1", 2, width), W($"{name}.b1", rows, 2), 0.7), new(W($"{name}.a2", 3, width), W($"{name}.b2", rows, 3), -1.3)] };
            return g.Append(op, x);
        }
        var norm = NormSpec.RmsNorm(1e-5);
        var rope = new RopeSpec(Heads, HeadWidth, 0, RopePairing.Halves, [.. Enumerable.Range(0, HeadWidth / 2).Select(i => Math.Pow(100, -2.0 * i / HeadWidth))], Dynamic: Dynamic);
        Value x = g.Embed(W("embed", Vocabulary, Width));
        for (int i = 0; i < Blocks; i++)
        {
            using var _ = g.Block(x);
            Value n = g.Norm(x, norm, new(W($"{i}.gain", 1, Width)));
            Value q = g.Rope(Linear(n, $"{i}.q", Heads * HeadWidth), rope), k = g.Rope(Linear(n, $"{i}.k", KvHeads * HeadWidth), rope with { Heads = KvHeads }), v = Linear(n, $"{i}.v", KvHeads * HeadWidth);
            var spec = new AttentionSpec(Heads, KvHeads, HeadWidth, HeadWidth, 1 / Math.Sqrt(HeadWidth), Window: i % 2 == 0 ? Window : null);
            x = g.Add(x, Linear(g.Attention(q, k, v, spec), $"{i}.o", Width));
            Value m = g.Norm(x, NormSpec.LayerNorm(1e-5), new(W($"{i}.gain2", 1, Width), W($"{i}.bias2", 1, Width)));
            x = g.Add(x, Linear(g.Activate(Linear(m, $"{i}.up", Inner), ActivationKind.GeluTanh), $"{i}.down", Width));
        }
        var head = W("head", Vocabulary, Width);
        return CacheTypes.Apply(g.Finish(x, v => g.Norm(v, norm), v => g.Linear(v, head)), KeyType, ValueType);
    }

    private static int HashCodeOf(string text) => text.Aggregate(17, (hash, c) => unchecked(hash * 31 + c));
}
