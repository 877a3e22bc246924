using Tare.Backends.Cpu;
using Tare.Capture;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Sites are found in every architecture, and what their names promise adds up.</summary>
public sealed class SiteTests
{
    public static TheoryData<ArchitectureCase> Cases => ArchitectureCase.All();

    [ConformanceTheory("architectures"), MemberData(nameof(Cases))]
    public void Sums_of_the_stream_hold_bit_by_bit_and_the_hidden_states_are_where_they_should_be(ArchitectureCase c)
    {
        using var model = c.Open();
        using var expected = ModelFile.Open(c.ExpectedPath);
        var graph = ArchitectureRegistry.Build(model);
        var map = SiteMap.Of(graph);
        var sites = map.Sites.Where(s => s.Form == SiteForm.Value).ToList();
        using var backend = new CpuBackend(2);
        var values = WholeSequences.Run<float>(backend, graph.WithOutputs(sites.Select(s => new GraphOutput(s.Name, s.Value))), ArchitectureCase.Tokens(expected));
        for (int i = 0; i < graph.Blocks; i++)
        {
            float[] pre = Of(SiteNames.ResidPre(i)), attention = Of(SiteNames.AttentionOut(i)), mlp = Of(SiteNames.MlpOut(i)), post = Of(SiteNames.ResidPost(i));
            if (values.TryGetValue(SiteNames.ResidMid(i), out float[]? mid))
            {
                Sum(pre, attention).ShouldBe(mid, $"{c.Name} block {i} mid");
                bool onStream = map.TryGet($"blocks.{i}.ln1.hook_out", out var ln) && map.TryGet(SiteNames.ResidMid(i), out var m) && graph.Nodes[ln.Value.Node].Inputs[0] == m.Value;
                Sum(onStream ? Of($"blocks.{i}.ln1.hook_out") : mid, mlp).ShouldBe(post, $"{c.Name} block {i} post");
            }
            else
                Sum(Sum(pre, attention), mlp).ShouldBe(post, $"{c.Name} block {i} parallel");
            if (i + 1 < graph.Blocks && graph.OpOf(graph.HiddenStates[i + 1]) is not Tare.Graphs.Ops.Norm) post.ShouldBe(Of(SiteNames.ResidPre(i + 1)));
        }
        var states = ArchitectureCase.HiddenStates(expected);
        for (int i = 0; i < graph.Blocks; i++) Nmse.WorstRow(Of(SiteNames.ResidPre(i)), states[i].Values, states[i].Width).ShouldBeLessThan(1e-9);
        Nmse.WorstRow(Of(SiteNames.FinalOut), states[^1].Values, states[^1].Width).ShouldBeLessThan(1e-9);

        float[] Of(string name) => values[name];
        static float[] Sum(float[] a, float[] b) => [.. a.Zip(b, (x, y) => x + y)];
    }

    [Fact]
    public void Globs_braces_and_aliases_select_what_they_name()
    {
        var map = SiteMap.Of(new RandomModel(Blocks: 3).Build());
        Names("blocks.*.hook_resid_{pre,mid}").ShouldBe(["blocks.0.hook_resid_pre", "blocks.0.hook_resid_mid", "blocks.1.hook_resid_pre", "blocks.1.hook_resid_mid", "blocks.2.hook_resid_pre", "blocks.2.hook_resid_mid"]);
        Names("blocks.{1..2}.hook_attn_out, ln_final.hook_out").ShouldBe(["blocks.1.hook_attn_out", "blocks.2.hook_attn_out", "ln_final.hook_out"]);
        Names("l_out-1").ShouldBe(["blocks.1.hook_resid_post"]);
        Names("ffn_inp-*").Count.ShouldBe(3);
        Names("model.layers.2.input_layernorm").ShouldBe(["blocks.2.ln1.hook_out"]);
        Names("model.layers.*.post_attention_layernorm").Count.ShouldBe(3);
        Names("hidden_states.3,hidden_states.0").ShouldBe(["blocks.0.hook_resid_pre", "ln_final.hook_out"]);
        Names("blocks.1.hook_in").ShouldBe(["blocks.1.hook_resid_pre"]);
        Names("**").Count.ShouldBe(map.Sites.Count);
        Names("blocks.0.attn.*").ShouldContain("blocks.0.attn.hook_rot_q");
        Should.Throw<ArgumentException>(() => Names("blocks.0.hook_resid_mod")).Message.ShouldContain("blocks.0.hook_resid_mid");
        Should.Throw<ArgumentException>(() => Names("blocks.*.hook_{resid_pre,resid_pots}")).Message.ShouldContain("resid_post");
        Should.Throw<ArgumentException>(() => Names("blocks.7.hook_resid_pre")).Message.ShouldContain("'blocks.7.hook_resid_pre'");
        Should.Throw<ArgumentException>(() => Names("blocks.{0.hook_resid_pre")).Message.ShouldContain("braces");

        List<string> Names(string selector) => [.. SiteSelector.Select(map, selector).Select(s => s.Name)];
    }
}
