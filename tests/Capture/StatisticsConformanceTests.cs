using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Capture;
using Tare.Capture.Running;
using Tare.Capture.Statistics;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Every number of <c>conformance/residual-stats</c>: from its raw rows in float64, and from our own forward passes.</summary>
public sealed class StatisticsConformanceTests
{
    private const int FactColumns = 18; // without the probes

    [ConformanceFact("residual-stats", "architectures")]
    public void Facts_and_moments_of_the_raw_rows_are_right_in_float64()
    {
        using var data = new Fixture();
        var gpt2 = data.Models[0];
        int compared = 0;
        foreach (string site in data.Sites(gpt2).Where(s => data.Raw.TryGetTensor(s, out _) && data.Columns(gpt2, s).Length > 1))
        {
            data.Raw.TryGetTensor(site, out var raw).ShouldBeTrue();
            string? partner = site.EndsWith("hook_attn_out", StringComparison.Ordinal) ? site.Replace("attn_out", "resid_pre", StringComparison.Ordinal) : site.EndsWith("hook_mlp_out", StringComparison.Ordinal) ? site.Replace("mlp_out", "resid_mid", StringComparison.Ordinal) : null;
            var other = partner is null ? null : data.RawOf(partner);
            double[][] records = Records(raw!.ToArray(), other, raw.Width);
            var facts = new double[FactColumns + 6];
            double[] expected = data.Values($"gpt2.{site}.rows");
            string[] columns = data.Columns(gpt2, site);
            for (int r = 0; r < records.Length; r++)
            {
                RowFacts.Derive<double>(records[r], raw.Width, facts);
                for (int f = 0; f < FactColumns; f++)
                {
                    int column = Array.IndexOf(columns, RowFacts.Names[f]);
                    if (column < 0) continue;
                    double e = expected[r * columns.Length + column];
                    facts[f].ShouldBe(e, 1e-11 * Math.Max(1e-3, Math.Abs(e)), $"{site} row {r} {RowFacts.Names[f]}");
                    compared++;
                }
                records[r][RowRecord.LargestIndex].ShouldBe(expected[r * columns.Length + Array.IndexOf(columns, "argmax")]);
            }
            CompareMoments(data, gpt2, site, columns, records, raw.Width, 1e-9);
            CompareChannels(data, $"gpt2.{site}.channels", raw.ToArray(), raw.Width);
        }
        compared.ShouldBeGreaterThan(10000);
    }

    [ConformanceFact("residual-stats", "architectures")]
    public void Our_own_forward_pass_gives_them_at_every_site_of_every_model()
    {
        using var data = new Fixture();
        foreach (var model in data.Models)
        {
            using var file = ModelFile.Open(Path.Combine(SharedData.Conformance("architectures")!, model.Name));
            var graph = ArchitectureRegistry.Build(file);
            var map = SiteMap.Of(graph);
            var sites = data.Sites(model).Select(s => map.TryGet(s, out var site) ? site : throw new ShouldAssertException($"{model.Name} has no {s}")).ToList();
            var variant = CaptureGraph.Create(graph, sites.Select(s => (s, data.Columns(model, s.Name).Length > 1 ? CaptureLevel.Record : CaptureLevel.Rows)));
            using var backend = new CpuBackend(2);
            var values = WholeSequences.Run<float>(backend, variant.Graph, model.Tokens);
            var facts = new double[FactColumns + 6];
            foreach (var output in variant.Outputs)
            {
                string[] columns = data.Columns(model, output.Site.Name);
                float[] records = values[output.Output];
                if (columns.Length == 1)
                {
                    double[] scales = data.Values($"{model.Name}.{output.Site.Name}.values");
                    for (int r = 0; r < scales.Length; r++) ((double)records[r]).ShouldBe(scales[r], 2e-5 * scales[r]);
                    continue;
                }
                double[] expected = data.Values($"{model.Name}.{output.Site.Name}.rows");
                for (int r = 0; r < expected.Length / columns.Length; r++)
                {
                    RowFacts.Derive<float>(records.AsSpan(r * RowRecord.Words, RowRecord.Words), output.Site.Width, facts);
                    double deviation = expected[r * columns.Length + Array.IndexOf(columns, "rms")];
                    for (int f = 0; f < FactColumns; f++)
                    {
                        int column = Array.IndexOf(columns, RowFacts.Names[f]);
                        if (column < 0) continue;
                        double e = expected[r * columns.Length + column];
                        double size = (RowFact)f switch
                        {
                            RowFact.Mean => Math.Max(Math.Abs(e), deviation),
                            RowFact.M3 => Math.Max(Math.Abs(e), deviation * deviation * deviation),
                            RowFact.AngleToUniformDeg => 10 + Math.Abs(e) / 2,
                            _ => Math.Max(1, Math.Abs(e)),
                        };
                        facts[f].ShouldBe(e, 2e-5 * size, $"{model.Name} {output.Site.Name} row {r} {RowFacts.Names[f]}");
                    }
                }
                // Turning and stretching of a norm are the comparison of its output with its input.
                if (Array.IndexOf(columns, "rotation_out_deg") is >= 0 and int rotation)
                    for (int r = 0; r < expected.Length / columns.Length; r++)
                    {
                        RowFacts.Derive<float>(records.AsSpan(r * RowRecord.Words, RowRecord.Words), output.Site.Width, facts);
                        double angle = Math.Acos(Math.Clamp(facts[(int)RowFact.CosineWithStream], -1, 1)) * 180 / Math.PI;
                        angle.ShouldBe(expected[r * columns.Length + rotation], 0.05 + 1e-5 * angle, $"{model.Name} {output.Site.Name} row {r}");
                        facts[(int)RowFact.NormRatioToStream].ShouldBe(expected[r * columns.Length + Array.IndexOf(columns, "length_ratio_out")], 2e-5 * facts[(int)RowFact.NormRatioToStream]);
                    }
            }
        }
    }

    [Fact]
    public void Batches_of_rows_give_what_rows_one_by_one_give()
    {
        var random = new Random(4);
        var site = new SiteColumns("x", 48, true, false, false);
        var (batched, single) = (new SiteStatistics(site), new SiteStatistics(site));
        var facts = new double[ColumnMoments.Padded(RowFacts.Count)];
        foreach (int rows in new[] { 200, 64, 1, 77 })
            for (int r = 0; r < rows; r++)
            {
                float scale = (float)Math.Exp(random.NextDouble() * 3), mean = (float)random.NextDouble() * scale, m2 = scale * scale;
                float[] record = [mean, m2 + mean * mean, m2, (float)(random.NextDouble() - 0.5) * m2 * scale, 3 * m2 * m2, scale, 4 * scale, 7, 48 * (m2 + mean * mean), (float)(random.NextDouble() - 0.5) * scale, 48 * mean, 60 * m2, r % 3, 0, 1, -2];
                int group = r % 5;
                batched.PushRecord(record, group);
                RowFacts.Derive<float>(record, 48, facts);
                single.PushFacts(facts, group);
            }
        batched.PushRecord([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0], 1);
        batched.Finish();
        batched.Skipped.Sum().ShouldBe(1);
        for (int g = 0; g < RowGroup.Count; g++)
        {
            batched.Columns[g].Count.ShouldBe(single.Columns[g].Count);
            for (int f = 0; f < RowFacts.Count && single.Columns[g].Count > 0; f++) Compare(batched.Columns[g][f], single.Columns[g][f], 1e-11, $"group {g} {RowFacts.Names[f]}", extremes: true);
            if (single.Columns[g].Count > 0) Compare(batched.Elements[g], single.Elements[g], 1e-11, $"elements {g}", extremes: true);
        }
    }

    [Fact]
    public void Rows_too_large_for_the_record_are_skipped_and_never_make_a_mean_no_number()
    {
        const int Width = 32;
        var g = new GraphBuilder();
        var parts = g.Split(g.Residual(2 * Width), Width, Width);
        var graph = g.Finish(new GraphOutput("record", g.Append(new RowStatistics(), [.. parts])));
        (float X, float Stream)[] rows = [(1, 1), (1, 1e30f), (1e30f, 1), (1e30f, 1e30f), (1e8f, 1e18f), (1e10f, 1), (-1e30f, 1e38f), (float.NaN, 1), (1e-30f, 1e-30f), (0, 1e25f), (2, 3)];
        using var backend = new CpuBackend(1);
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(rows.Length, 1, 1));
        float[] input = [.. rows.SelectMany(r => new[] { r.X, r.Stream }.SelectMany(v => Enumerable.Range(0, Width).Select(c => c % 3 == 1 ? -v : v)))];
        var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, rows.Length, 0, Phase.Prompt, rows.Length)], Residual = input }, []);
        var statistics = new SiteStatistics(new SiteColumns("x", Width, true, false, false));
        for (int r = 0; r < rows.Length; r++) statistics.PushRecord(program.Output<float>(ticket, new OutputId(0)).Slice(r * RowRecord.Words, RowRecord.Words), 0);
        statistics.Finish();
        statistics.Skipped[0].ShouldBe(7);
        statistics.Columns[0].Count.ShouldBe(4); // (1, 1), (1e8, 1e18), (1e-30, 1e-30), (2, 3)
        for (int f = 0; f < RowFacts.Count; f++)
            foreach (double value in new[] { statistics.Columns[0][f].Mean, statistics.Columns[0][f].Min, statistics.Columns[0][f].Max }) double.IsFinite(value).ShouldBeTrue(RowFacts.Names[f]);
    }

    private static double[][] Records(float[] raw, float[]? partner, int width)
    {
        var g = new GraphBuilder();
        Value x = g.Residual(partner is null ? width : 2 * width);
        var parts = partner is null ? [x] : g.Split(x, width, width);
        var graph = g.Finish(new GraphOutput("record", g.Append(new RowStatistics(), [.. parts])));
        int rows = raw.Length / width;
        float[] input = partner is null ? raw : [.. Enumerable.Range(0, rows).SelectMany(r => raw.Skip(r * width).Take(width).Concat(partner.Skip(r * width).Take(width)))];
        using var backend = new ReferenceBackend(1);
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(rows, 1, 1));
        var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, rows, 0, Phase.Prompt, rows)], Residual = input }, []);
        double[] all = program.Output<double>(ticket, new OutputId(0)).ToArray();
        return [.. Enumerable.Range(0, rows).Select(r => all.AsSpan(r * RowRecord.Words, RowRecord.Words).ToArray())];
    }

    // Groups: all, position 0, positions 1 – 15, the rest; shards as the fixture cuts them, merged.
    private static void CompareMoments(Fixture data, FixtureModel model, string site, string[] columns, double[][] records, int width, double tolerance)
    {
        var shards = model.ShardRows.Select(range =>
        {
            var shard = new SiteStatistics(new SiteColumns(site, width, true, false, false));
            var facts = new double[ColumnMoments.Padded(RowFacts.Count)];
            for (int r = range[0]; r < range[1]; r++)
            {
                RowFacts.Derive<double>(records[r], width, facts);
                shard.PushFacts(facts, RowGroup.Of(r % model.Positions, Phase.Prompt));
            }
            return shard;
        }).ToList();
        var whole = shards[0];
        foreach (var shard in shards.Skip(1)) whole.Merge(shard);
        double[] expected = data.Values($"{model.Name}.{site}.merged"), elements = data.Values($"{model.Name}.{site}.elements");
        for (int group = 0; group < 4; group++)
            for (int f = 0; f < FactColumns; f++)
            {
                int column = Array.IndexOf(columns, RowFacts.Names[f]);
                if (column < 0) continue;
                var e = ColumnMoments.Read(expected.AsSpan((group * columns.Length + column) * 7));
                var actual = group > 0 ? whole.Columns[group - 1][f] : Moments.Merge(Moments.Merge(whole.Columns[0][f], whole.Columns[1][f]), whole.Columns[2][f]);
                Compare(actual, e, tolerance, $"{site} {RowFacts.Names[f]} group {group}", extremes: true);
            }
        Compare(Moments.Merge(Moments.Merge(whole.Elements[0], whole.Elements[1]), whole.Elements[2]), ColumnMoments.Read(elements), tolerance, $"{site} elements", extremes: false);
    }

    private static void Compare(Moments actual, Moments expected, double tolerance, string what, bool extremes)
    {
        // The facts that go in are right to 1e-12 of their own size, which shows where they hardly vary.
        double u = Math.Max(Math.Max(expected.Deviation, 1e-5 * Math.Abs(expected.Mean)), 1e-12), n = expected.Count;
        actual.Count.ShouldBe(n, what);
        actual.Mean.ShouldBe(expected.Mean, tolerance * u + 1e-12 * Math.Abs(expected.Mean), what);
        actual.M2.ShouldBe(expected.M2, tolerance * n * u * u, what);
        actual.M3.ShouldBe(expected.M3, tolerance * n * u * u * u, what);
        actual.M4.ShouldBe(expected.M4, tolerance * n * u * u * u * u, what);
        if (!extremes) return;
        actual.Min.ShouldBe(expected.Min, 1e-9 * Math.Max(u, Math.Abs(expected.Min)), what);
        actual.Max.ShouldBe(expected.Max, 1e-9 * Math.Max(u, Math.Abs(expected.Max)), what);
    }

    private static void CompareChannels(Fixture data, string name, float[] raw, int width)
    {
        double[] expected = data.Values(name);
        var (first, second) = (new ChannelMoments(width), new ChannelMoments(width));
        for (int r = 0; r < raw.Length / width; r++) (r < 17 ? first : second).Push(raw.AsSpan(r * width, width));
        first.Merge(second);
        for (int i = 0; i < expected.Length; i++) first.Values[i].ShouldBe(expected[i], 1e-11 * Math.Max(1, Math.Abs(expected[i])), $"{name} {i}");
    }

    private sealed record FixtureModel(string Name, int Positions, int[][] Tokens, int[][] ShardRows, JsonElement Sites);

    private sealed class Fixture : IDisposable
    {
        private readonly ModelFile _numbers;

        public Fixture()
        {
            string root = SharedData.Conformance("residual-stats")!;
            _numbers = ModelFile.Open(Path.Combine(root, "stats.safetensors"));
            Raw = ModelFile.Open(Path.Combine(root, "raw-gpt2.safetensors"));
            var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(root, "stats.json"))).RootElement;
            Models = [.. json.GetProperty("models").EnumerateArray().Select(m => new FixtureModel(m.GetProperty("name").GetString()!, m.GetProperty("positions").GetInt32(), Ints(m.GetProperty("tokens")), Ints(m.GetProperty("shard_rows")), m.GetProperty("sites")))];
        }

        public ModelFile Raw { get; }

        public FixtureModel[] Models { get; }

        public IEnumerable<string> Sites(FixtureModel model) => model.Sites.EnumerateObject().Select(s => s.Name);

        public string[] Columns(FixtureModel model, string site) => [.. model.Sites.GetProperty(site).GetProperty("columns").EnumerateArray().Select(c => c.GetString()!)];

        public double[] Values(string name)
        {
            _numbers.TryGetTensor(name, out var tensor).ShouldBeTrue(name);
            var values = new double[tensor!.ElementCount];
            tensor.ReadRows(0, (int)tensor.RowCount, values);
            return values;
        }

        public float[] RawOf(string name)
        {
            Raw.TryGetTensor(name, out var tensor).ShouldBeTrue(name);
            return tensor!.ToArray();
        }

        public void Dispose()
        {
            _numbers.Dispose();
            Raw.Dispose();
        }

        private static int[][] Ints(JsonElement rows) => [.. rows.EnumerateArray().Select(r => r.EnumerateArray().Select(v => v.GetInt32()).ToArray())];
    }
}
