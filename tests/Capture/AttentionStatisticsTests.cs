using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Capture;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Models;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Entropy, largest weight and weight on key 0 of each head, against weights that are written out plainly.</summary>
public sealed class AttentionStatisticsTests
{
    private static readonly SiteForm[] Forms = [SiteForm.AttentionEntropy, SiteForm.AttentionLargest, SiteForm.AttentionSink];

    public static TheoryData<ArchitectureCase> Cases => ArchitectureCase.All();

    [ConformanceTheory("architectures"), MemberData(nameof(Cases))]
    public void Every_architecture_gives_those_of_the_plain_softmax_and_keeps_its_logits(ArchitectureCase c)
    {
        using var model = c.Open();
        using var expected = ModelFile.Open(c.ExpectedPath);
        if (!ArchitectureCase.IsRegistered(model)) return;
        var graph = ArchitectureRegistry.Build(model);
        int[][] tokens = ArchitectureCase.Tokens(expected);
        var map = SiteMap.Of(graph);
        var capture = Heads(graph);
        capture.Outputs.Select(o => o.Site.Name).ShouldBe(Enumerable.Range(0, graph.Blocks).SelectMany(i => new[] { SiteNames.AttentionEntropy(i), SiteNames.AttentionLargest(i), SiteNames.AttentionSink(i) }), c.Name);
        var attention = map.Sites.Where(s => s.Form == SiteForm.AttentionEntropy).Select(s => s.Value.Node).ToList();
        using var reference = new ReferenceBackend(2);
        var inputs = WholeSequences.Run<double>(reference, graph.WithOutputs(attention.SelectMany(n => new GraphOutput[] { new($"q{n}", graph.Nodes[n].Inputs[0]), new($"k{n}", KeysOf(graph, n)) })), tokens);
        var exact = WholeSequences.Run<double>(reference, capture.Graph, tokens);
        using var cpu = new CpuBackend(2);
        var fast = WholeSequences.Run<float>(cpu, capture.Graph, tokens);
        if (graph.FindOutput(GraphBuilder.LogitsOutput) is not null) fast[GraphBuilder.LogitsOutput].ShouldBe(WholeSequences.Run<float>(cpu, graph.WithOutputs(graph.Outputs), tokens)[GraphBuilder.LogitsOutput], c.Name);
        for (int i = 0; i < attention.Count; i++)
        {
            var spec = ((Attention)graph.Nodes[attention[i]].Op).Spec;
            double[][] plain = Plain(spec, inputs[$"q{attention[i]}"], inputs[$"k{attention[i]}"], [.. tokens.Select(t => t.Length)]);
            for (int f = 0; f < 3; f++)
            {
                string name = capture.Outputs[3 * i + f].Output;
                for (int e = 0; e < plain[f].Length; e++)
                {
                    exact[name][e].ShouldBe(plain[f][e], 1e-12, $"{c.Name} {name} {e}");
                    ((double)fast[name][e]).ShouldBe(plain[f][e], 2e-5 * Math.Max(1, plain[f][e]), $"{c.Name} {name} {e}");
                }
            }
        }
    }

    [ConformanceFact("residual-stats", "architectures")]
    public void They_are_those_of_the_reference_data()
    {
        string root = SharedData.Conformance("residual-stats")!;
        using var numbers = ModelFile.Open(Path.Combine(root, "stats.safetensors"));
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(root, "stats.json")));
        foreach (var m in json.RootElement.GetProperty("models").EnumerateArray())
        {
            string name = m.GetProperty("name").GetString()!;
            int[][] tokens = [.. m.GetProperty("tokens").EnumerateArray().Select(r => r.EnumerateArray().Select(v => v.GetInt32()).ToArray())];
            using var file = ModelFile.Open(Path.Combine(SharedData.Conformance("architectures")!, name));
            var capture = Heads(ArchitectureRegistry.Build(file));
            using var reference = new ReferenceBackend(2);
            using var cpu = new CpuBackend(2);
            var (exact, fast) = (WholeSequences.Run<double>(reference, capture.Graph, tokens), WholeSequences.Run<float>(cpu, capture.Graph, tokens));
            foreach (var output in capture.Outputs)
            {
                numbers.TryGetTensor($"{name}.blocks.{output.Site.Block}.attn.pattern_stats", out var tensor).ShouldBeTrue(name);
                var values = new double[tensor!.ElementCount]; // [rows, heads, 3]
                tensor.ReadRows(0, (int)tensor.RowCount, values);
                values.Length.ShouldBe(3 * exact[output.Output].Length);
                for (int e = 0; e < values.Length / 3; e++)
                {
                    double right = values[3 * e + Array.IndexOf(Forms, output.Site.Form)];
                    exact[output.Output][e].ShouldBe(right, 1e-6, $"{name} {output.Output} {e}");
                    ((double)fast[output.Output][e]).ShouldBe(right, 2e-5 * Math.Max(1, right), $"{name} {output.Output} {e}");
                }
            }
        }
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData(300, false)]
    [InlineData(null, true)]
    public void Blocks_of_keys_chunks_threads_and_company_change_no_bit(int? window, bool sinks)
    {
        var graph = WithSinks(new RandomModel(Blocks: 2, Window: window).Build(), sinks);
        var capture = Heads(graph);
        int[] a = [.. Enumerable.Range(0, 700).Select(i => i * 11 % 37)], b = [.. Enumerable.Range(0, 257).Select(i => i * 3 % 37)], c = [5];
        using var reference = new ReferenceBackend(2);
        using var one = new CpuBackend(1);
        using var three = new CpuBackend(3);
        var together = WholeSequences.Run<float>(three, capture.Graph, a, b, c);
        var alone = new[] { a, b, c }.Select(s => WholeSequences.RunChunked<float>(one, capture.Graph, s, 61)).ToList();
        var few = WholeSequences.RunChunked<float>(three, capture.Graph, a[..600], 1); // threads share the blocks of a query
        var exact = WholeSequences.Run<double>(reference, capture.Graph, a, b, c);
        foreach (var output in capture.Outputs)
        {
            together[output.Output].ShouldBe([.. alone.SelectMany(r => r[output.Output])], output.Output);
            few[output.Output].ShouldBe(together[output.Output].Take(few[output.Output].Length), output.Output);
            for (int e = 0; e < exact[output.Output].Length; e++) ((double)together[output.Output][e]).ShouldBe(exact[output.Output][e], 2e-5 * Math.Max(1, exact[output.Output][e]), $"{output.Output} {e}");
        }
        if (window is not null) together[SiteNames.AttentionSink(0)].Skip(4 * 300).Take(4 * 400).ShouldAllBe(v => v == 0);
    }

    [Fact]
    public void What_unused_positions_of_a_page_hold_is_not_seen()
    {
        // Token 0 is no number, so a sequence of it fills the pages with NaN.
        var graph = new RandomModel(Blocks: 1).Build();
        var nodes = graph.Nodes.ToBuilder();
        int look = Enumerable.Range(0, nodes.Count).First(i => nodes[i].Op is Embed);
        float[] table = ((Embed)nodes[look].Op).Table.ToVector();
        Array.Fill(table, float.NaN, 0, 24);
        nodes[look] = nodes[look] with { Op = (Embed)nodes[look].Op with { Table = new ConstantWeight("bad", 37, 24, table) } };
        var capture = Heads(new Graph(nodes.ToImmutable(), graph.Outputs, graph.HiddenStates, graph.Blocks));
        int[] text = [.. Enumerable.Range(0, 45).Select(i => 1 + i * 7 % 36)];
        using var backend = new CpuBackend(2);
        var fresh = WholeSequences.Run<float>(backend, capture.Graph, text);
        var after = WholeSequences.RunBatches<float>(backend, capture.Graph, [[new int[64]], [text]]).Last();
        foreach (var output in capture.Outputs)
        {
            fresh[output.Output].ShouldAllBe(v => float.IsFinite(v));
            after[output.Output].ShouldBe(fresh[output.Output]);
        }
    }

    [Fact]
    public void A_learned_sink_is_an_outcome_of_the_entropy_and_no_key()
    {
        // Keys 0, so n keys have a score of 0 and a sink of ln 6 has the weight of six keys.
        var g = new GraphBuilder();
        Value x = g.Residual(1), zero = g.Scale(x, 0);
        var spec = new AttentionSpec(1, 1, 1, 1, 1, AttentionMask.Bidirectional) { Sinks = new ConstantWeight("sink", 1, 1, [MathF.Log(6)]) };
        var node = g.Append(new Attention(spec, Statistics: true), zero, zero, x);
        var graph = g.Finish(new GraphOutput("entropy", new Value(node.Node, Attention.Entropy)), new GraphOutput("largest", new Value(node.Node, Attention.Largest)), new GraphOutput("first", new Value(node.Node, Attention.First)));
        foreach (IBackend backend in new IBackend[] { new ReferenceBackend(1), new CpuBackend(1) })
            using (backend)
            {
                using var store = backend.CreateWeightStore();
                using var program = backend.Compile(graph, store, new ProgramLimits(2, 1, 1));
                var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, 2, 0, Phase.Prompt, 2)], Residual = [3, 4] }, []);
                double[][] values = [.. Enumerable.Range(0, 3).Select(o => program.Output<double>(ticket, new OutputId(o)).ToArray())];
                values[0][1].ShouldBe(-2 * 0.125 * Math.Log(0.125) - 0.75 * Math.Log(0.75), 1e-6);
                values[1][1].ShouldBe(0.125, 1e-6);
                values[2][1].ShouldBe(0.125, 1e-6);
            }
    }

    [Fact]
    public void Without_them_the_graph_has_the_ordinary_kernel_and_the_pattern_itself_is_refused_with_advice()
    {
        var graph = new RandomModel(Blocks: 2).Build();
        var stream = new CaptureSpec { Statistics = SiteNames.Stream }.Apply(graph);
        stream.Graph.Ops.OfType<Attention>().ShouldAllBe(a => !a.Statistics);
        new CaptureSpec { Statistics = "blocks.1.attn.stat_pmax" }.Apply(graph).Graph.Ops.OfType<Attention>().Select(a => a.Statistics).ShouldBe([false, true]);
        Should.Throw<ArgumentException>(() => new CaptureSpec { Rows = "blocks.0.attn.hook_pattern" }.Apply(graph)).Message.ShouldContain("blocks.0.attn.stat_entropy");
    }

    private static CaptureGraph Heads(Graph graph) => new CaptureSpec { Statistics = SiteNames.Heads }.Apply(graph);

    private static Value KeysOf(Graph graph, int attention)
    {
        var keys = graph.Nodes[attention].Inputs[1];
        return graph.OpOf(keys) is KvAppend ? graph.Nodes[keys.Node].Inputs[0] : keys;
    }

    private static Graph WithSinks(Graph graph, bool sinks)
    {
        if (!sinks) return graph;
        var nodes = graph.Nodes.ToBuilder();
        for (int i = 0; i < nodes.Count; i++)
            if (nodes[i].Op is Attention a) nodes[i] = nodes[i] with { Op = a with { Spec = a.Spec with { Sinks = new ConstantWeight("sinks", 1, 4, [-3, 1, 4, 30]) } } };
        return new Graph(nodes.ToImmutable(), graph.Outputs, graph.HiddenStates, graph.Blocks);
    }

    // [3][rows · heads]: entropy, largest weight, weight on position 0, from all weights of every query and head.
    private static double[][] Plain(AttentionSpec spec, double[] q, double[] k, int[] lengths)
    {
        var result = Enumerable.Range(0, 3).Select(_ => new List<double>()).ToArray();
        double[] sinks = spec.Sinks?.ToWideVector() ?? [];
        for (int s = 0, start = 0; s < lengths.Length; start += lengths[s++])
            for (int t = 0; t < lengths[s]; t++)
                for (int h = 0; h < spec.Heads; h++)
                {
                    var weights = new List<double>();
                    double sum = spec.Sinks is null ? 0 : Math.Exp(sinks[h]);
                    for (int p = 0; p < lengths[s]; p++)
                    {
                        bool seen = (spec.Mask == AttentionMask.Bidirectional || p <= t) && (spec.Window is not int window || p > t - window);
                        double score = 0;
                        for (int i = 0; i < spec.KeyWidth; i++) score += q[((start + t) * spec.Heads + h) * spec.KeyWidth + i] * k[((start + p) * spec.KvHeads + h * spec.KvHeads / spec.Heads) * spec.KeyWidth + i];
                        score *= spec.Scale;
                        if (spec.SoftCap is double cap) score = cap * Math.Tanh(score / cap);
                        if (!spec.AlibiSlopes.IsEmpty) score += spec.AlibiSlopes[h] * (p - t);
                        weights.Add(seen ? Math.Exp(score) : 0);
                        sum += weights[^1];
                    }
                    double entropy = weights.Append(spec.Sinks is null ? 0 : Math.Exp(sinks[h])).Select(w => w / sum).Where(w => w > 0).Sum(w => -w * Math.Log(w));
                    result[0].Add(entropy);
                    result[1].Add(weights.Max() / sum);
                    result[2].Add(weights[0] / sum);
                }
        return [.. result.Select(r => r.ToArray())];
    }
}
