using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Diagnostics;

public sealed class ProductWorkTests
{
    [Fact]
    public void A_prompt_pays_for_the_head_once_and_every_matrix_is_read_once()
    {
        using var file = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"));
        var graph = ArchitectureRegistry.Build(file);
        var head = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value);
        double headOperations = 2.0 * head.Width * file.Tensors.First(t => t.Name.StartsWith("token_embd.", StringComparison.Ordinal)).Shape[^1];
        var (one, prompt) = (ProductWork.Of(graph, 1, 1), ProductWork.Of(graph, 512, 1));
        (prompt.Operations - headOperations).ShouldBe(512 * (one.Operations - headOperations), 1);
        prompt.StoredBytes.ShouldBe(one.StoredBytes);
        one.FloatOperations.ShouldBe(one.Operations); // F16 weights take F32 activations
        ProductWork.Of(IntegerActivations.Apply(graph), 1, 1).ShouldBe(one);
        // Two operations a weight and two bytes a weight of F16.
        one.StoredBytes.ShouldBe(one.Operations, 1);
    }
}
