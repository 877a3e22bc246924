using Tare.Capture.Editing;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Tests.Support;

namespace Tare.Tests.Diagnostics;

/// <summary>What a timing runs is what it is asked to: positions, phases, edits.</summary>
public sealed class ThroughputTests
{
    [Fact]
    public void A_test_reads_its_depth_and_prompt_and_generates_behind_them()
    {
        var steps = Steps(new ThroughputTest(5, 2, 4), null);
        steps.Select(s => (s.Phase, s.Position, s.Edited.Length)).ShouldBe([(Phase.Prompt, 4, 3), (Phase.Prompt, 7, 2), (Phase.Generated, 9, 1), (Phase.Generated, 10, 1)]);
        steps.SelectMany(s => s.Edited).ShouldNotContain(true);
    }

    [Fact]
    public void Edits_reach_the_rows_that_they_choose()
    {
        var test = new ThroughputTest(5, 2, 4);
        Edited(RowSelection.All).ShouldBe([true, true, true, true, true, true, true]);
        Edited(new RowSelection { Generated = true }).ShouldBe([false, false, false, false, false, true, true]);
        Edited(new RowSelection { Positions = [new PositionRange(-1, -1), new PositionRange(4, 4)] }).ShouldBe([true, false, false, false, true, false, false]); // the prompt ends at position 8

        bool[] Edited(RowSelection rows) => [.. Steps(test, EditSpec.Zero("blocks.1.hook_mlp_out") with { Rows = rows }).SelectMany(s => s.Edited)];
    }

    // The steps of one repetition behind its warm-up.
    private static List<(Phase Phase, int Position, bool[] Edited)> Steps(ThroughputTest test, EditSpec? edit)
    {
        var graph = new RandomModel().Build();
        var edits = edit is null ? null : new EditPlanner(graph).ForTools([edit]);
        using var backend = new RecordingBackend();
        using var weights = backend.CreateWeightStore();
        using var bench = new Throughput(backend, edits?.Graph.Graph ?? graph, weights, test.Depth, test.Prompt + test.Generate, 3, edits?.Edits);
        bench.WarmUp(test);
        backend.Steps.Clear();
        bench.Repeat(test, 1).ShouldHaveSingleItem().ShouldBeGreaterThan(0);
        return backend.Steps;
    }
}
