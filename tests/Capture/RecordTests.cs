using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Capture;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Records on the CPU against float64, and what a capturing variant leaves alone.</summary>
public sealed class RecordTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(1000, 1)]
    [InlineData(-3, 1e-3f)]
    public void Records_agree_with_float64_also_far_from_zero(float offset, float scale)
    {
        foreach (int width in new[] { 1, 7, 16, 31, 32, 33, 64, 443, 576 })
            foreach (bool pair in new[] { false, true })
            {
                var g = new GraphBuilder();
                var x = g.Residual(width);
                var probes = RandomModel.Matrix(3, "probes", 2, width);
                var graph = g.Finish(new GraphOutput("record", pair ? g.Append(new RowStatistics(probes), x, g.Scale(x, -0.7)) : g.Append(new RowStatistics(probes), x)));
                var random = new Random(width);
                const int Rows = 9;
                float[] values = [.. Enumerable.Range(0, Rows * width).Select(i => offset + scale * (float)(random.NextDouble() * 2 - 1) * (i % 97 == 5 ? 300 : 1))];
                using var reference = new ReferenceBackend(1);
                double[] expected = Run<double>(reference, graph, values, width);
                float[]? first = null;
                foreach (int threads in new[] { 1, 2, 3 })
                {
                    using var backend = new CpuBackend(threads);
                    float[] actual = Run<float>(backend, graph, values, width);
                    (first ??= actual).ShouldBe(actual);
                    for (int r = 0; r < Rows; r++)
                        for (int w = 0; w < RowRecord.Words; w++)
                        {
                            double e = expected[r * RowRecord.Words + w], a = actual[r * RowRecord.Words + w], sd = Math.Sqrt(expected[r * RowRecord.Words + RowRecord.Moment2]);
                            double size = w switch
                            {
                                RowRecord.Mean => Math.Abs(e) + sd,
                                RowRecord.Moment3 => Math.Abs(e) + sd * sd * sd,
                                RowRecord.LargestIndex or RowRecord.Outliers or RowRecord.NonFinite => 0,
                                RowRecord.Product or RowRecord.Sum or RowRecord.Probe0 or RowRecord.Probe1 => Math.Abs(e) + width * (Math.Abs(offset) + scale),
                                _ => Math.Abs(e),
                            };
                            Math.Abs(a - e).ShouldBeLessThanOrEqualTo(1e-5 * size, $"width {width}, row {r}, word {w}: {a} for {e}");
                        }
                }
            }
    }

    [Fact]
    public void Elements_that_are_no_numbers_are_counted()
    {
        var g = new GraphBuilder();
        var graph = g.Finish(new GraphOutput("record", g.Append(new RowStatistics(), g.Residual(40))));
        float[] values = new float[80];
        Array.Fill(values, 1);
        (values[3], values[17], values[39]) = (float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        (values[50], values[51]) = (-100, 100);
        using var backend = new CpuBackend(1);
        float[] record = Run<float>(backend, graph, values, 40);
        record[RowRecord.NonFinite].ShouldBe(3);
        record[RowRecord.Words + RowRecord.NonFinite].ShouldBe(0);
        record[RowRecord.Words + RowRecord.LargestIndex].ShouldBe(10);
        record[RowRecord.Words + RowRecord.Largest].ShouldBe(100);
    }

    [Fact]
    public void Logits_keep_their_bits_and_no_weight_is_packed_again()
    {
        foreach (var graph in new[] { new RandomModel(Blocks: 3).Build(), new RandomModel(Seed: 5, Blocks: 2, Window: 3).Build() })
        {
            var map = SiteMap.Of(graph);
            int[] text = [.. Enumerable.Range(0, 30).Select(i => i * 5 % 37)];
            foreach (int threads in new[] { 1, 2, 3 })
            {
                using var backend = new CpuBackend(threads);
                float[] off = WholeSequences.Run<float>(backend, graph.WithOutputs(graph.Outputs), text)["logits"];
                foreach (var level in Enum.GetValues<CaptureLevel>())
                {
                    var variant = CaptureGraph.Create(graph, map.Sites.Select(s => (s, level)));
                    var on = WholeSequences.Run<float>(backend, variant.Graph, text);
                    on["logits"].ShouldBe(off);
                    foreach (var output in variant.Outputs) on[output.Output].Length.ShouldBe(30 * output.Width);
                }
                using var store = backend.CreateWeightStore();
                using var plain = backend.Compile(graph, store, new ProgramLimits(8, 1, 1));
                long bytes = store.Bytes;
                using var captured = backend.Compile(CaptureGraph.Create(graph, SiteSelector.Select(map, SiteNames.Stream).Select(s => (s, CaptureLevel.Record))).Graph, store, new ProgramLimits(8, 1, 1));
                store.Bytes.ShouldBe(bytes);
            }
        }
    }

    [Fact]
    public void Records_ignore_batch_chunks_and_threads()
    {
        var graph = new RandomModel(Blocks: 2).Build();
        var variant = CaptureGraph.Create(graph, SiteSelector.Select(SiteMap.Of(graph), SiteNames.Stream).Select(s => (s, CaptureLevel.Record)));
        int[] a = [.. Enumerable.Range(0, 70).Select(i => i * 11 % 37)], b = [.. Enumerable.Range(0, 13).Select(i => i * 3 % 37)], c = [5];
        using var one = new CpuBackend(1);
        using var two = new CpuBackend(2);
        var together = WholeSequences.Run<float>(two, variant.Graph, a, b, c);
        var alone = new[] { a, b, c }.Select(s => WholeSequences.RunChunked<float>(one, variant.Graph, s, 9)).ToList();
        foreach (var output in variant.Outputs) together[output.Output].ShouldBe([.. alone.SelectMany(r => r[output.Output])], output.Output);
    }

    [Fact]
    public void A_value_that_is_looked_at_is_not_overwritten_by_the_node_that_runs_beside()
    {
        var g = new GraphBuilder();
        var x = g.Scale(g.Residual(4096), 2);
        var record = g.Append(new RowStatistics(), x);
        var y = g.Scale(g.Scale(g.Scale(x, 3), 4), 5);
        var graph = g.Finish(new GraphOutput("record", record), new GraphOutput("y", y));
        using var backend = new CpuBackend(3);
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(64, 1, 1));
        float[] values = [.. Enumerable.Range(0, 64 * 4096).Select(i => (float)(i % 64))];
        for (int i = 0; i < 50; i++)
        {
            var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, 64, 0, Phase.Prompt, 64)], Residual = values }, []);
            program.Output<float>(ticket, new OutputId(0)).ToArray().Where((_, w) => w % RowRecord.Words == RowRecord.Mean).ShouldAllBe(m => m == 63);
        }
    }

    private static T[] Run<T>(IBackend backend, Graph graph, float[] values, int width) where T : unmanaged
    {
        int rows = values.Length / width;
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(rows, 1, 1));
        var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, rows, 0, Phase.Prompt, rows)], Residual = values }, []);
        T[] result = program.Output<T>(ticket, new OutputId(0)).ToArray();
        if (program is CpuProgram cpu) cpu.AreGuardsIntact.ShouldBeTrue();
        return result;
    }
}
