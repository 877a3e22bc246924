using Tare.Backends.Reference;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Rewrites;

/// <summary>Edits given in a file's coordinates do to a model with rewritten norms what they do to the model as it is, at every site and in float64 – or are refused with a reason.</summary>
public sealed class EditedRewriteTests
{
    // The folders of the reference data: their GGUF forms hold the same weights, and the float64 run of the real model takes long (the command's tests edit it).
    public static TheoryData<string> Models() => [.. EquivalenceTests.Models().Where((string path) => Directory.Exists(path))];

    [ConformanceTheory("architectures")]
    [MemberData(nameof(Models))]
    public void Mapped_edits_give_the_logits_of_the_edited_original(string path)
    {
        using var file = ModelFile.Open(path);
        var original = ArchitectureRegistry.Build(file);
        if (!NormVerdict.Of(original).LayerNormToRmsNorm) return;
        int[] tokens = [.. Enumerable.Range(0, 6).Select(i => (i * 7919 + 11) % Math.Min(original.TypeOf(original.Outputs[0].Value).Width, 300))];
        using var backend = new ReferenceBackend(2);
        var plain = new EditPlanner(original);
        int mapped = 0, refused = 0;
        foreach (var target in new[] { NormTarget.Rms, NormTarget.Crms, NormTarget.CrmsIsometric })
        {
            var report = new RewriteReport();
            var rewritten = NormRewrites.Apply(original, target, report);
            report.Coordinates.IsRaw.ShouldBeFalse();
            var planner = new EditPlanner(rewritten, report.Coordinates);
            foreach (var site in planner.Map.Sites.Where(s => s.IsEditable && s.Block <= 0))
            {
                plain.Map.TryGet(site.Name, out var before).ShouldBeTrue(site.Name);
                foreach (var spec in Specs(site.Name, before!.Width, report.Coordinates.LostMean && before.Width == report.Coordinates.SourceWidth))
                {
                    EditEntry entry;
                    try
                    {
                        entry = planner.Resolve([spec]);
                    }
                    catch (EditException e)
                    {
                        e.Message.ShouldContain(site.Name);
                        e.Message.ShouldContain("coordinates");
                        refused++;
                        continue;
                    }
                    RewriteFixture.Relative(Logits(planner, entry), Logits(plain, plain.Resolve([spec]))).ShouldBeLessThan(1e-10, $"{Path.GetFileName(path)} {target} {site.Name} {spec.Action}");
                    mapped++;
                }
            }
        }
        mapped.ShouldBeGreaterThan(40);
        refused.ShouldBeGreaterThan(5);

        double[] Logits(EditPlanner p, EditEntry entry) => WholeSequences.RunChunked<double>(backend, p.Edit(entry.Sites).Graph, tokens, 512, edits: new StepEdits(entry, p.Sites.Table(1)))[GraphBuilder.LogitsOutput];
    }

    [ConformanceFact("architectures")]
    public void What_needs_the_lost_mean_or_length_is_refused_with_the_reason()
    {
        using var file = ModelFile.Open(RewriteFixture.Checkpoint("gpt2"));
        var report = new RewriteReport();
        var graph = NormRewrites.Apply(ArchitectureRegistry.Build(file), NormTarget.Crms, report);
        var planner = new EditPlanner(graph, report.Coordinates);
        int width = report.Coordinates.SourceWidth;
        graph.TypeOf(graph.HiddenStates[0]).Width.ShouldBe(width - 1);
        double[] slanted = [.. Enumerable.Range(0, width).Select(i => i + 1.0)];
        Refusal(new EditSpec { Action = EditAction.AddMatched, Sites = "blocks.0.hook_resid_post", Vectors = EditVectors.Same(slanted) }).ShouldContain("length of the row");
        Refusal(EditSpec.ProjectOut("blocks.0.hook_resid_post", EditVectors.Same(slanted))).ShouldContain("subtract the mean");
        Refusal(EditSpec.Zero("blocks.0.hook_resid_post") with { Channels = [1] }).ShouldContain("single channels");
        Refusal(EditSpec.Zero("blocks.0.ln1.hook_out")).ShouldContain("before the norms were rewritten");
        Refusal(EditSpec.Add("blocks.0.hook_resid_post", EditVectors.Same(new double[width - 1]))).ShouldContain($"the row {width}");
        planner.Resolve([EditSpec.Add("blocks.0.hook_resid_post", EditVectors.Same(slanted))]).Operations[0].Vector.Length.ShouldBe(width - 1);

        string Refusal(EditSpec spec) => Should.Throw<EditException>(() => planner.Resolve([spec])).Message;
    }

    private static IEnumerable<EditSpec> Specs(string site, int width, bool centered)
    {
        var random = new Random(site.Length);
        double[] v = [.. Enumerable.Range(0, width).Select(_ => random.NextDouble() - 0.3)], direction = [.. v];
        if (centered)
        {
            double mean = v.Average();
            direction = Array.ConvertAll(v, x => x - mean);
        }
        yield return EditSpec.Add(site, EditVectors.Same(v), 0.7);
        yield return EditSpec.Zero(site);
        yield return EditSpec.Scale(site, 1.5);
        yield return EditSpec.Mean(site, EditVectors.Same(v)) with { Strength = 0.5 };
        yield return EditSpec.ProjectOut(site, EditVectors.Same(direction));
        yield return new EditSpec { Action = EditAction.Clamp, Sites = site, Vectors = EditVectors.Same(direction), Minimum = -0.01, Maximum = 0.01 };
        yield return EditSpec.Zero(site) with { Channels = [0] };
        yield return new EditSpec { Action = EditAction.AddMatched, Sites = site, Vectors = EditVectors.Same(v) };
    }
}
