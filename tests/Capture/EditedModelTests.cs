using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Edits by site name on whole models: what the sums of the stream promise, before and after, actions against their formulas, and no bit changed where nothing is asked for.</summary>
public sealed class EditedModelTests
{
    private static readonly int[] Text = [.. Enumerable.Range(0, 40).Select(i => (i * 7 + i / 5) % 37)];

    public static TheoryData<ArchitectureCase> Cases => ArchitectureCase.All();

    [ConformanceTheory("architectures"), MemberData(nameof(Cases))]
    public void Zeroing_what_a_sublayer_adds_is_the_model_without_that_sum_and_unused_edits_change_no_bit(ArchitectureCase c)
    {
        using var model = c.Open();
        using var expected = ModelFile.Open(c.ExpectedPath);
        var graph = ArchitectureRegistry.Build(model);
        int[] tokens = ArchitectureCase.Tokens(expected)[0];
        var planner = new EditPlanner(graph);
        using var backend = new CpuBackend(2);
        using var store = backend.CreateWeightStore();
        string output = graph.Outputs[0].Name;
        float[] plain = Run(graph, null)[output];
        Run(planner.Edit(Enumerable.Range(0, planner.Sites.Values.Length)).Graph, null)[output].ShouldBe(plain, $"{c.Name}: all sites editable, nothing edited");

        int checkedSums = 0;
        for (int i = 0; i < graph.Blocks; i++)
            foreach (string name in new[] { SiteNames.AttentionOut(i), SiteNames.MlpOut(i) })
            {
                planner.Map.TryGet(name, out var site).ShouldBeTrue($"{c.Name} {name}");
                if (WithoutSum(graph, site!.Value) is not { } without) continue;
                var (edited, edits) = planner.ForTools([EditSpec.Zero(name)])!.Value;
                float[] zeroed = Run(edited.Graph, edits)[output];
                zeroed.ShouldBe(Run(without, null)[output], $"{c.Name} {name}");
                zeroed.ShouldNotBe(plain, $"{c.Name} {name}");
                checkedSums++;
            }
        checkedSums.ShouldBeGreaterThan(0, c.Name);

        Dictionary<string, float[]> Run(Graph g, StepEdits? edits) => WholeSequences.RunChunked<float>(backend, g, tokens, 512, shared: store, edits: edits);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_action_changes_its_site_as_its_formula_says_and_nothing_before_it(bool reference)
    {
        var graph = new RandomModel(Blocks: 3).Build();
        var planner = new EditPlanner(graph);
        var random = new Random(2);
        int width = graph.TypeOf(graph.HiddenStates[0]).Width;
        double[] v = [.. Enumerable.Range(0, width).Select(_ => random.NextDouble() - 0.5)], w = [.. Enumerable.Range(0, width).Select(_ => random.NextDouble() - 0.5)];
        double vv = Dot(v, v), length = Math.Sqrt(vv);
        const string Site = "blocks.1.hook_resid_mid";
        var add = EditSpec.Add(Site, EditVectors.Same(v), 1.5);
        foreach (var (spec, formula) in new (EditSpec, Func<double[], double[]>)[]
        {
            (EditSpec.Zero(Site) with { Strength = 0.25 }, x => Map(x, _ => 0.75 * _)),
            (EditSpec.Scale(Site, 3) with { Strength = 0.5 }, x => Map(x, _ => 2 * _)),
            (EditSpec.Mean(Site, EditVectors.Same(v)) with { Strength = 0.5 }, x => Combine(x, 0.5, v, 0.5)),
            (add, x => Combine(x, 1, v, 1.5)),
            (add with { Action = EditAction.AddMatched }, x => Combine(x, 1, v, 1.5 * Math.Sqrt(Dot(x, x)) / length)),
            (add with { Action = EditAction.AddNormPreserving }, x => Combine(x, 1, v, 1.5) is var z ? Map(z, _ => _ * Math.Sqrt(Dot(x, x) / Dot(z, z))) : x),
            (EditSpec.ProjectOut(Site, EditVectors.Same(v)), x => Combine(x, 1, v, -Dot(x, v) / vv)),
            (EditSpec.ProjectOut(Site, new SameVectors(new SiteVectors([.. v, .. w, .. v], 3))), x => WithoutBoth(x, v, w)),
            (add with { Action = EditAction.Clamp, Strength = 1, Minimum = -0.1, Maximum = 0.1 }, x => Combine(x, 1, v, (Math.Clamp(Dot(x, v) / length, -0.1, 0.1) - Dot(x, v) / length) / length)),
        })
        {
            var (before, after) = RunWithSite(planner, graph, [spec], Site, reference, out var edited, out var plain);
            before.ShouldBe(plain, spec.Action.ToString());
            for (int r = 0; r < Text.Length; r++) Nmse.WorstRow(after[(r * width)..((r + 1) * width)], Narrow(formula(Wide(before[(r * width)..((r + 1) * width)]))), width).ShouldBeLessThan(1e-11, spec.Action.ToString());
            after.ShouldNotBe(before);
            edited.ShouldNotBeEmpty();
        }
    }

    [Fact]
    public void Heads_channels_layers_positions_tokens_and_phases_choose_what_is_changed()
    {
        var graph = new RandomModel(Blocks: 3).Build();
        var planner = new EditPlanner(graph);
        planner.Map.TryGet(SiteNames.AttentionResult(1), out var z).ShouldBeTrue();
        int heads = ((Attention)graph.OpOf(z!.Value)).Spec.Heads, head = z.Width / heads;
        var (before, after) = RunWithSite(planner, graph, [EditSpec.Zero(z.Name) with { Heads = [1] }], z.Name, false, out _, out _);
        Changed(before, after, z.Width).ShouldBe(Enumerable.Range(0, Text.Length).SelectMany(r => Enumerable.Range(head, head).Select(k => (r, k))));
        string mlp = SiteNames.MlpOut(2);
        (before, after) = RunWithSite(planner, graph, [EditSpec.Scale("blocks.*.hook_mlp_out", 2) with { Channels = [5, 3, 4], Layers = [2], Rows = new RowSelection { Positions = [new(2, 3), new(-1, -1)] } }], mlp, false, out _, out _);
        Changed(before, after, graph.TypeOf(graph.HiddenStates[0]).Width).ShouldBe(from r in new[] { 2, 3, 39 } from k in new[] { 3, 4, 5 } select (r, k));
        (before, after) = RunWithSite(planner, graph, [EditSpec.Zero(mlp) with { Channels = [0], Rows = new RowSelection { Tokens = [Text[7]] } }], mlp, false, out _, out _);
        Changed(before, after, graph.TypeOf(graph.HiddenStates[0]).Width).ShouldBe(Enumerable.Range(0, Text.Length).Where(r => Text[r] == Text[7]).Select(r => (r, 0)));
        (before, after) = RunWithSite(planner, graph, [EditSpec.Zero(mlp) with { Rows = new RowSelection { Generated = true } }], mlp, false, out _, out _);
        after.ShouldBe(before);
        // A vector of one head serves each head; one of the whole row is cut.
        double[] one = [.. Enumerable.Range(0, head).Select(i => i + 1.0)], row = [.. Enumerable.Range(0, heads).SelectMany(_ => one)];
        var (_, byHead) = RunWithSite(planner, graph, [EditSpec.Add(z.Name, EditVectors.Same(one)) with { Heads = [0, 1] }], z.Name, false, out _, out _);
        RunWithSite(planner, graph, [EditSpec.Add(z.Name, EditVectors.Same(row)) with { Heads = [0, 1] }], z.Name, false, out _, out _).After.ShouldBe(byHead);
    }

    [Fact]
    public void Edits_run_in_their_order_also_under_two_names_of_one_value()
    {
        var graph = new RandomModel(Blocks: 2).Build();
        var planner = new EditPlanner(graph);
        int width = graph.TypeOf(graph.HiddenStates[0]).Width;
        double[] ones = [.. Enumerable.Repeat(1.0, width)];
        EditSpec twice = EditSpec.Scale(SiteNames.ResidPost(0), 2), plus = EditSpec.Add(SiteNames.ResidPre(1), EditVectors.Same(ones));
        var (before, after) = RunWithSite(planner, graph, [twice, plus], SiteNames.ResidPre(1), false, out _, out _);
        after.ShouldBe(Array.ConvertAll(before, x => 2 * x + 1));
        RunWithSite(planner, graph, [plus, twice], SiteNames.ResidPost(0), false, out _, out _).After.ShouldBe(Array.ConvertAll(before, x => 2 * (x + 1)));
        planner.Resolve([twice, plus]).Sites.Count().ShouldBe(1);
    }

    [Fact]
    public void The_final_norm_is_edited_for_the_head_too()
    {
        var graph = new RandomModel(Blocks: 2).Build();
        var planner = new EditPlanner(graph);
        using var backend = new CpuBackend(1);
        var (edited, edits) = planner.ForTools([EditSpec.Zero(SiteNames.FinalOut) with { Rows = new RowSelection { Positions = [new(3, 3)] } }])!.Value;
        float[] logits = WholeSequences.RunChunked<float>(backend, edited.Graph, Text, 16, edits: edits)[GraphBuilder.LogitsOutput], plain = WholeSequences.RunChunked<float>(backend, graph, Text, 16)[GraphBuilder.LogitsOutput];
        for (int r = 0; r < Text.Length; r++)
            if (r == 3) logits[(r * 37)..((r + 1) * 37)].ShouldAllBe(x => x == 0);
            else logits[(r * 37)..((r + 1) * 37)].ShouldBe(plain[(r * 37)..((r + 1) * 37)]);
    }

    [Fact]
    public void Edited_logits_ignore_chunks_threads_fusion_and_capture()
    {
        var graph = new RandomModel(Blocks: 3).Build();
        var planner = new EditPlanner(graph);
        double[] v = [.. Enumerable.Range(0, graph.TypeOf(graph.HiddenStates[0]).Width).Select(i => Math.Sin(i))];
        EditSpec[] specs = [EditSpec.Add("blocks.*.hook_resid_post", EditVectors.Same(v), 0.3), EditSpec.ProjectOut("blocks.1.hook_attn_out", EditVectors.Same(v)), EditSpec.Zero("blocks.2.attn.hook_v") with { Heads = [0], Rows = new RowSelection { Positions = [new(1, 30)] } }];
        var (edited, edits) = planner.ForTools(specs)!.Value;
        float[]? expected = null;
        foreach (bool fuses in new[] { true, false })
            foreach (int threads in new[] { 1, 3 })
                foreach (int chunk in new[] { 1, 7, 40 })
                    foreach (bool captured in new[] { false, true })
                    {
                        using var backend = new CpuBackend(threads) { Fuses = fuses };
                        var run = captured ? new CaptureSpec { Statistics = SiteNames.Stream, Rows = "blocks.1.*" }.Apply(graph, planner.Map, edited).Graph : edited.Graph;
                        float[] logits = WholeSequences.RunChunked<float>(backend, run, Text, chunk, edits: edits)[GraphBuilder.LogitsOutput];
                        logits.ShouldBe(expected ??= logits, $"fused {fuses}, {threads} threads, chunk {chunk}, captured {captured}");
                    }
        using var reference = new ReferenceBackend(1);
        Nmse.WorstRow(expected!, Narrow(WholeSequences.RunChunked<double>(reference, edited.Graph, Text, 40, edits: edits)[GraphBuilder.LogitsOutput]), 37).ShouldBeLessThan(1e-9);
    }

    [Fact]
    public void Strength_zero_asks_for_nothing()
    {
        var planner = new EditPlanner(new RandomModel().Build());
        double[] v = [.. Enumerable.Repeat(1.0, planner.Sites.Widths[0])];
        planner.ForTools([EditSpec.Zero("blocks.*.hook_resid_post") with { Strength = 0 }, EditSpec.Scale("blocks.*.hook_resid_post", 1), EditSpec.Add("hook_embed", EditVectors.Same(v), 0)]).ShouldBeNull();
        planner.ForTools([]).ShouldBeNull();
    }

    [Fact]
    public void What_can_not_be_edited_is_refused_with_its_name()
    {
        var planner = new EditPlanner(new RandomModel(Blocks: 2).Build());
        int width = planner.Sites.Widths[0];
        Refusal(EditSpec.Zero("blocks.0.hook_resid_mod")).ShouldContain("blocks.0.hook_resid_mid");
        Refusal(EditSpec.Zero("blocks.0.ln1.hook_scale")).ShouldContain("captured but not edited");
        Refusal(EditSpec.Zero("blocks.0.hook_resid_mid@before")).ShouldContain("@before");
        Refusal(EditSpec.Zero("blocks.0.hook_resid_mid") with { Heads = [0] }).ShouldContain("no heads");
        Refusal(EditSpec.Zero("blocks.0.attn.hook_z") with { Heads = [99] }).ShouldContain("head 99");
        Refusal(EditSpec.Zero("blocks.0.hook_resid_mid") with { Channels = [-1] }).ShouldContain("channel -1");
        Refusal(EditSpec.Zero("blocks.0.hook_resid_mid") with { Layers = [7] }).ShouldContain("layers 7");
        Refusal(EditSpec.Zero("blocks.0.hook_resid_mid") with { Strength = double.NaN }).ShouldContain("NaN");
        Refusal(EditSpec.Add("hook_embed", EditVectors.Same(1.0, 2))).ShouldContain("2 elements");
        Refusal(EditSpec.Add("hook_embed", EditVectors.Same([.. Enumerable.Repeat(double.NaN, width)]))).ShouldContain("NaN");
        Refusal(EditSpec.ProjectOut("hook_embed", EditVectors.Same(new double[width]))).ShouldContain("zero");
        Refusal(new EditSpec { Action = EditAction.Clamp, Sites = "hook_embed", Vectors = EditVectors.Same(new double[width]) }).ShouldContain("minimum");
        Refusal(new EditSpec { Action = EditAction.Add, Sites = "hook_embed" }).ShouldContain("needs vectors");
        Refusal(new EditSpec { Action = EditAction.Patch, Sites = "hook_embed", Vectors = EditVectors.Same(1.0) }).ShouldContain("another run");

        string Refusal(EditSpec spec) => Should.Throw<ArgumentException>(() => planner.Resolve([spec])).Message;
    }

    // The model with the sum of this addend left out; null where the addend is no input of a sum (it is, in every model of the reference data).
    private static Graph? WithoutSum(Graph graph, Value addend)
    {
        int sum = Enumerable.Range(0, graph.Nodes.Length).FirstOrDefault(i => graph.Nodes[i].Op is Add && graph.Nodes[i].Inputs.Contains(addend), -1);
        return sum < 0 ? null : GraphRebuild.Run(graph, (_, i, inputs) => i == sum ? [inputs[graph.Nodes[i].Inputs[0] == addend ? 1 : 0]] : null);
    }

    private static (float[] Before, float[] After) RunWithSite(EditPlanner planner, Graph graph, EditSpec[] specs, string site, bool reference, out float[] logits, out float[] plain)
    {
        using IBackend backend = reference ? new ReferenceBackend(1) : new CpuBackend(2);
        var tools = planner.ForTools(specs);
        var capture = new CaptureSpec { Rows = $"{site},{site}@before" }.Apply(graph, planner.Map, tools?.Graph);
        var values = WholeSequences.RunChunked<float>(backend, capture.Graph, Text, 16, edits: tools?.Edits);
        logits = values[GraphBuilder.LogitsOutput];
        plain = WholeSequences.RunChunked<float>(backend, new CaptureSpec { Rows = site }.Apply(graph).Graph, Text, 16)[site];
        return (values[capture.Outputs.Single(o => o.Site.IsBefore).Output], values[capture.Outputs.Single(o => !o.Site.IsBefore).Output]);
    }

    private static IEnumerable<(int, int)> Changed(float[] before, float[] after, int width) => Enumerable.Range(0, before.Length).Where(i => before[i] != after[i]).Select(i => (i / width, i % width));

    private static double[] WithoutBoth(double[] x, double[] v, double[] w)
    {
        double[] u = Combine(w, 1, v, -Dot(v, w) / Dot(v, v)), y = Combine(x, 1, v, -Dot(x, v) / Dot(v, v));
        return Combine(y, 1, u, -Dot(y, u) / Dot(u, u));
    }

    private static double[] Wide(float[] x) => Array.ConvertAll(x, v => (double)v);

    private static float[] Narrow(double[] x) => Array.ConvertAll(x, v => (float)v);

    private static double[] Map(double[] x, Func<double, double> f) => Array.ConvertAll(x, v => f(v));

    private static double[] Combine(double[] x, double a, double[] v, double b) => [.. x.Zip(v, (p, q) => a * p + b * q)];

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}
