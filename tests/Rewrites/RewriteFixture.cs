using System.Text.Json;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Rewrites;

/// <summary>The reference data of <c>conformance/rewrites</c>: what each step makes of a checkpoint's weights, and the logits that it must give.</summary>
internal sealed class RewriteFixture : IDisposable
{
    private readonly ModelFile _tensors;

    public RewriteFixture()
    {
        string folder = SharedData.Conformance("rewrites")!;
        Json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "rewrites.json"))).RootElement;
        _tensors = ModelFile.Open(Path.Combine(folder, Json.GetProperty("tensors").GetString()!));
    }

    public JsonElement Json { get; }

    public static string Checkpoint(string name) => Path.Combine(SharedData.Conformance("architectures")!, name);

    public double[] Tensor(string name)
    {
        _tensors.TryGetTensor(name, out var tensor).ShouldBeTrue(name);
        var values = new double[tensor!.ElementCount];
        tensor.ReadRows(0, (int)tensor.RowCount, values);
        return values;
    }

    public bool Has(string name) => _tensors.TryGetTensor(name, out _);

    public static int[] Tokens(JsonElement model) => [.. model.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];

    /// <summary>Largest difference over the largest expected magnitude.</summary>
    public static double Relative(IReadOnlyList<double> actual, IReadOnlyList<double> expected)
    {
        actual.Count.ShouldBe(expected.Count);
        return actual.Zip(expected, (a, e) => Math.Abs(a - e)).Max() / expected.Max(Math.Abs);
    }

    public static double[] Logits(IBackend backend, Graph graph, int[] tokens)
        => WholeSequences.Run<double>(backend, graph, tokens)[GraphBuilder.LogitsOutput];

    /// <summary>The products of a block by their role, fused projections taken apart: q, k, v, o, gate, up, down.</summary>
    public static Dictionary<string, (Weight Weight, Weight? Bias)> Products(Graph graph, int block, bool interleaved, int heads)
    {
        var all = graph.Nodes.Where(n => n.Block == block && n.Op is Linear).Select(n => (Linear)n.Op).ToList();
        var products = new Dictionary<string, (Weight, Weight?)>();
        int next = 0;
        if (graph.Nodes.Any(n => n.Block == block && n.Op is Split or SplitGroups))
        {
            var fused = all[next++];
            int d = (int)fused.Weight.Rows / 3;
            foreach (var (role, part) in new[] { ("q", 0), ("k", 1), ("v", 2) })
                products[role] = interleaved
                    ? (new ConcatWeight([.. Enumerable.Range(0, heads).Select(h => new SliceWeight(fused.Weight, (3 * h + part) * d / heads, d / heads))]), Row(new ConcatWeight([.. Enumerable.Range(0, heads).Select(h => new SliceWeight(Column(fused.Bias!), (3 * h + part) * d / heads, d / heads))])))
                    : (new SliceWeight(fused.Weight, part * d, d), Row(new SliceWeight(Column(fused.Bias!), part * d, d)));
        }
        else
            foreach (string role in new[] { "q", "k", "v" }) Add(role);
        Add("o");
        if (all.Count - next == 3) Add("gate");
        Add("up");
        Add("down");
        return products;

        void Add(string role)
        {
            products[role] = (all[next].Weight, all[next].Bias);
            next++;
        }

        static Weight Column(Weight bias) => new ReshapeWeight(bias, bias.Width, 1);

        static Weight Row(Weight column) => new ReshapeWeight(column, 1, (int)column.Rows);
    }

    public void Dispose() => _tensors.Dispose();
}
