using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;

namespace Tare.Tests.Graphs;

public sealed class PlanTests
{
    [Fact]
    public void No_two_live_values_share_a_buffer_and_outputs_live_to_the_end()
    {
        for (int seed = 0; seed < 20; seed++)
        {
            var graph = new RandomModel(Seed: seed, Blocks: 1 + seed % 5, Inner: 10 + seed * 7).Build();
            if (seed % 2 == 1) graph = graph.WithOutputs([.. graph.Outputs, .. graph.HiddenStates.Select((v, i) => new GraphOutput($"h{i}", v))]);
            var plan = MemoryPlan.Create(graph);
            var holder = new Dictionary<int, Value>();
            for (int i = 0; i < graph.Nodes.Length; i++)
            {
                foreach (var input in graph.Nodes[i].Inputs)
                    if (plan.BufferOf(input) is >= 0 and int read) holder[read].ShouldBe(input, $"node {i} reads a buffer that was given away");
                for (int k = 0; k < graph.Nodes[i].Outputs.Length; k++)
                {
                    var type = graph.Nodes[i].Outputs[k];
                    int buffer = plan.BufferOf(new Value(i, k));
                    if (type.Element == ElementType.KvCache) { buffer.ShouldBe(-1); continue; }
                    graph.Nodes[i].Inputs.Select(plan.BufferOf).Contains(buffer).ShouldBeFalse();
                    plan.Buffers[buffer].Rows.ShouldBe(type.Rows);
                    plan.Buffers[buffer].Width.ShouldBe(type.Width);
                    holder[buffer] = new Value(i, k);
                }
            }
            foreach (var output in graph.Outputs) holder[plan.BufferOf(output.Value)].ShouldBe(output.Value);
            if (seed % 2 == 0) plan.Buffers.Length.ShouldBeLessThan(14); // reuse does happen, whatever the number of blocks
        }
    }

    [Fact]
    public void Layers_of_one_shape_and_window_share_a_group()
    {
        var layout = KvLayout.Of(new RandomModel(Blocks: 5, Window: 8).Build());
        layout.Groups.Length.ShouldBe(2);
        layout.Groups[0].Layers.ShouldBe([0, 2, 4]);
        layout.Groups[0].Window.ShouldBe(8);
        layout.Groups[1].Layers.ShouldBe([1, 3]);
        layout.Find(3).ShouldBe((1, 1));
        Should.Throw<GraphException>(() => layout.Find(9));
        KvLayout.Of(new RandomModel(Blocks: 5, Window: 8).Build()).ShouldBe(layout);
    }

    [Fact]
    public void Unused_nodes_leave_the_graph()
    {
        var graph = new RandomModel(Blocks: 3).Build();
        var first = graph.WithOutputs([new GraphOutput("h1", graph.HiddenStates[1])]);
        first.Nodes.Length.ShouldBeLessThan(graph.Nodes.Length);
        first.HiddenStates.ShouldBeEmpty();
        first.Nodes.Count(n => n.Op is KvAppend).ShouldBe(1);
        Verifier.Verify(first);
    }
}
