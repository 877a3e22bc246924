using FsCheck;
using FsCheck.Fluent;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Tests.Support;

namespace Tare.Tests.Graphs;

/// <summary>Random legal graphs: the CPU gives what Reference gives, whole or in chunks.</summary>
public sealed class RandomGraphTests
{
    [Fact]
    public void Cpu_equals_reference_on_random_legal_graphs()
        => Prop.ForAll(Gen.Choose(1, int.MaxValue - 1).ToArbitrary(), seed =>
        {
            var graph = Build(new Random(seed), seed);
            int[] ids = [.. Enumerable.Range(0, 45).Select(i => (i * 7 + seed % 31) % 23)];
            using var reference = new ReferenceBackend(1);
            using var cpu = new CpuBackend(1 + seed % 3);
            float[] expected = WholeSequences.Run<float>(reference, graph, ids)["y"], actual = WholeSequences.Run<float>(cpu, graph, ids)["y"];
            Nmse.WorstRow(actual, expected, graph.TypeOf(graph.Outputs[0].Value).Width).ShouldBeLessThan(1e-7, $"seed {seed}\n{GraphDump.ToText(graph)}");
            WholeSequences.RunChunked<float>(cpu, graph, ids, 1 + seed % 44)["y"].ShouldBe(actual);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(150));

    /// <summary>A legal graph of random ops and sizes.</summary>
    internal static Graph Build(Random random, int seed)
    {
        int names = 0;
        ConstantWeight W(int rows, int width) => RandomModel.Matrix(seed, $"w{names++}", rows, width);
        int kvHeads = random.Next(1, 4), heads = kvHeads * random.Next(1, 4), headWidth = 2 * random.Next(1, 12), width = random.Next(3, 50);
        var g = new GraphBuilder();
        Value x = g.Embed(W(23, width));
        if (random.Next(2) == 0) x = g.Add(x, g.EmbedPositions(W(64, width)));
        for (int b = 0; b < random.Next(1, 4); b++)
        {
            using var _ = g.Block(x);
            Value a = Attend(g, Normalize(x));
            if (random.Next(3) == 0) a = Normalize(a);
            bool parallel = random.Next(3) == 0;
            Value after = g.Add(x, a), m = Mlp(g, Normalize(parallel ? x : after));
            x = g.Add(after, g.Scale(m, random.Next(2) == 0 ? 1 : 0.7));
        }
        x = Normalize(x);
        return g.Finish(new GraphOutput("y", g.SoftCap(g.Linear(g.Append(new SelectRows(), x), W(23, width)), random.Next(2) == 0 ? null : 5)));

        Value Normalize(Value v)
        {
            var spec = random.Next(4) switch
            {
                0 => NormSpec.LayerNorm(1e-5),
                1 => NormSpec.RmsNorm(1e-5),
                2 => NormSpec.RmsNorm(1e-6, gainOffset: 1),
                _ => NormSpec.LayerNorm(1e7),
            };
            // A static norm divides by √ε; without a gain of that size the stream would vanish.
            float[] gain = W(1, width).ToVector();
            if (spec.Kind == NormKind.Static)
                for (int i = 0; i < gain.Length; i++) gain[i] *= 3000;
            return random.Next(4) == 0 && spec.Kind != NormKind.Static ? g.Norm(v, spec) : g.Norm(v, spec, new(new ConstantWeight($"gain{names++}", 1, width, gain), random.Next(2) == 0 ? W(1, width) : null));
        }

        Value Attend(GraphBuilder builder, Value v)
        {
            Value q = builder.Linear(v, W(heads * headWidth, width), random.Next(2) == 0 ? W(1, heads * headWidth) : null), k = builder.Linear(v, W(kvHeads * headWidth, width)), values = builder.Linear(v, W(kvHeads * headWidth, width));
            if (random.Next(3) == 0) q = builder.Norm(q, NormSpec.RmsNorm(1e-6, groups: heads), new(W(1, headWidth)));
            if (random.Next(2) == 0)
            {
                int pairs = random.Next(1, headWidth / 2 + 1);
                var rope = new RopeSpec(heads, headWidth, random.Next(0, headWidth - 2 * pairs + 1), (RopePairing)random.Next(2), [.. Enumerable.Range(0, pairs).Select(i => Math.Pow(100, -(double)i / pairs))]);
                (q, k) = (builder.Rope(q, rope), builder.Rope(k, rope with { Heads = kvHeads }));
            }
            var spec = new AttentionSpec(heads, kvHeads, headWidth, headWidth, 1 / Math.Sqrt(headWidth), Window: random.Next(3) == 0 ? random.Next(1, 40) : null, SoftCap: random.Next(4) == 0 ? 2 : null)
            {
                AlibiSlopes = random.Next(4) == 0 ? AttentionSpec.Slopes(heads) : [],
                Sinks = random.Next(4) == 0 ? W(1, heads) : null,
            };
            return builder.Linear(builder.Attention(q, k, values, spec), W(width, heads * headWidth));
        }

        Value Mlp(GraphBuilder builder, Value v)
        {
            int inner = random.Next(1, 60);
            var kind = (ActivationKind)random.Next(Enum.GetValues<ActivationKind>().Length);
            if (random.Next(4) == 0)
            {
                int experts = random.Next(2, 7), used = random.Next(1, experts + 1);
                // Scores far apart: a tie within rounding would be a fair difference between F32 and F64.
                var chosen = builder.AppendAll(new Router(new RouterSpec(experts, used, (RouterScore)random.Next(2), random.Next(2) == 0)), builder.Scale(builder.Linear(v, W(experts, width)), 3));
                Value up = builder.Activate(builder.Append(new ExpertLinear(W(experts * inner, width), null, experts), v, chosen[0]), kind);
                return builder.Append(new CombineExperts(), builder.Append(new ExpertLinear(W(experts * width, inner), null, experts), up, chosen[0]), chosen[1]);
            }
            if (random.Next(2) == 0) return builder.Linear(builder.GatedActivate(builder.Linear(v, W(inner, width)), builder.Linear(v, W(inner, width)), kind), W(width, inner));
            return builder.Linear(builder.Activate(builder.Linear(v, W(inner, width), W(1, inner)), kind), W(width, inner), W(1, width));
        }
    }
}
