using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Capture;
using Tare.Capture.Jobs;
using Tare.Capture.Running;
using Tare.Capture.Statistics;
using Tare.Execution;
using Tare.Formats;
using Tare.Models;
using Tare.Tests.Cli;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Captures into folders: any sharding merges to the same bits, a stopped one goes on, nothing is counted twice.</summary>
public sealed class CaptureJobTests : IDisposable
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");

    private readonly string _folder = Directory.CreateTempSubdirectory("tare-capture-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void Any_sharding_any_batch_and_any_threads_merge_to_the_same_bits()
    {
        var sequences = Sequences(97, 130);
        Job("whole", sequences, 0, 1, threads: 2);
        for (int i = 0; i < 3; i++) Job($"part{i}", sequences, i, 3, threads: 1);
        Merge("whole.safetensors", "whole");
        Merge("parts.safetensors", "part2", "part0", "part1");
        byte[] whole = File.ReadAllBytes(In("whole.safetensors"));
        File.ReadAllBytes(In("parts.safetensors")).ShouldBe(whole);
        StatisticsFile.Read(In("whole.safetensors")).Sites[0].Columns.Sum(c => c.Count).ShouldBe(97 * 130);

        // One after the other, without any folder.
        using var model = ModelFile.Open(Fable);
        var graph = ArchitectureRegistry.Build(model);
        var capture = Spec.Apply(graph);
        using var backend = new CpuBackend(1);
        using var weights = backend.CreateWeightStore();
        using var runner = new CaptureRunner(backend, weights, capture, 130, batch: 33);
        var sink = new StatisticsSink(capture);
        runner.Run(sequences, sink);
        StatisticsFile.Write(In("running.safetensors"), sink.Result!, StatisticsFile.Read(In("whole.safetensors")).Metadata);
        File.ReadAllBytes(In("running.safetensors")).ShouldBe(whole);
    }

    [Fact]
    public void A_job_goes_on_where_it_stopped_and_recomputes_what_was_harmed()
    {
        var sequences = Sequences(70, 128);
        var cancel = new CancellationTokenSource();
        Should.Throw<OperationCanceledException>(() => Job("stopped", sequences, 0, 1, 2, new Report(_ => cancel.Cancel()), cancel.Token));
        var manifest = CaptureManifest.Find(In("stopped"))!;
        manifest.Chunks.Count.ShouldBeInRange(1, 2);
        string first = Path.Combine(In("stopped"), manifest.Chunks[0].File);
        var written = File.GetLastWriteTimeUtc(first);
        Job("stopped", sequences, 0, 1, 1).Chunks.Count.ShouldBe(3);
        File.GetLastWriteTimeUtc(first).ShouldBe(written);
        Job("whole", sequences, 0, 1, 2);
        Merge("a.safetensors", "stopped");
        Merge("b.safetensors", "whole");
        File.ReadAllBytes(In("a.safetensors")).ShouldBe(File.ReadAllBytes(In("b.safetensors")));

        using (var stream = File.OpenWrite(first)) stream.WriteByte(1);
        Should.Throw<ModelFileException>(() => Merge("c.safetensors", "stopped")).Message.ShouldContain("SHA-256");
        Job("stopped", sequences, 0, 1, 2);
        Merge("c.safetensors", "stopped");
        File.ReadAllBytes(In("c.safetensors")).ShouldBe(File.ReadAllBytes(In("b.safetensors")));
        Directory.GetFiles(In("stopped"), "*.tmp").ShouldBeEmpty();
    }

    [Fact]
    public void Overlaps_gaps_and_strangers_are_refused()
    {
        var sequences = Sequences(70, 128);
        Job("a", sequences, 0, 2, 2);
        Job("b", sequences, 1, 2, 2);
        Should.Throw<ModelFileException>(() => Merge("x.safetensors", "a", "b", "a")).Message.ShouldContain("nothing may be counted twice");
        Should.Throw<ModelFileException>(() => Merge("x.safetensors", "a")).Message.ShouldContain("missing");
        Merge("half.safetensors", partial: true, "a");
        Merge("all.safetensors", "a", "b");
        Should.Throw<ModelFileException>(() => Merge("x.safetensors", "a", "all.safetensors")).Message.ShouldContain("merged again");
        Job("other", Sequences(70, 127), 1, 2, 2);
        Should.Throw<ModelFileException>(() => Merge("x.safetensors", "a", "other")).Message.ShouldContain("tokens_sha256");
        Should.Throw<ModelFileException>(() => Job("a", Sequences(70, 127), 0, 2, 2)).Message.ShouldContain("another capture");
        Should.Throw<ModelFileException>(() => Job("a", sequences, 1, 2, 2)).Message.ShouldContain("shard 0/2");
        File.Exists(In("x.safetensors")).ShouldBeFalse();
    }

    [Fact]
    public void Generated_rows_are_counted_apart_and_equal_what_reading_them_gives()
    {
        using var model = ModelFile.Open(Fable);
        var graph = ArchitectureRegistry.Build(model);
        using var backend = new CpuBackend(2);
        using var weights = backend.CreateWeightStore();
        var capture = new CaptureSpec { Rows = "blocks.1.hook_resid_post" }.Apply(graph);
        using var runner = new CaptureRunner(backend, weights, capture, 64);
        List<CaptureSequence> sequences = [new([5, 9, 13, 44], 0), new([7, 1], 24)];
        var generated = new Collected();
        runner.Run(sequences, generated, generate: 20);
        generated.Labels.Count.ShouldBe(46);
        generated.Labels.Count(l => l.Phase == Phase.Generated).ShouldBe(40);
        generated.Labels.Select(l => l.Row).ShouldBe(Enumerable.Range(0, 46).Select(i => (long)i));
        var read = new Collected();
        runner.Run([.. sequences.Select((s, i) => new CaptureSequence([.. generated.Labels.Where(l => l.Sequence == i).Select(l => l.Token)], s.FirstRow))], read);
        read.Rows.ShouldBe(generated.Rows);
        read.Labels.ShouldAllBe(l => l.Phase == Phase.Prompt);
        generated.Labels.Where(l => l.Sequence == 1).Select(l => l.Position).ShouldBe(Enumerable.Range(0, 22));
    }

    [Fact]
    public void The_command_captures_merges_shows_and_exports()
    {
        string text = In("stories.jsonl");
        File.WriteAllLines(text, Enumerable.Range(0, 12).Select(i => JsonSerializer.Serialize(new { text = $"Once upon a time there were {i} foxes who lived in a wood, and every one of them could count." })));
        string[] arguments = ["capture", "-m", Fable, text, "-o", In("out"), "--sites", $"{SiteNames.Stream},{SiteNames.Heads},ln_final.hook_normalized", "--generate", "3", "--channels"];
        var (code, output, error) = CommandLine.Run(arguments);
        code.ShouldBe(0, error);
        output.ShouldContain("12 sequences");
        CommandLine.Run("capture", "merge", In("out"), "-o", In("all.safetensors")).ExitCode.ShouldBe(0);
        var shown = CommandLine.Run("capture", "show", In("all.safetensors"), In("out"), "--svg", In("plots"), "--groups", "prompt/*");
        shown.ExitCode.ShouldBe(0, shown.Error);
        shown.Output.ShouldContain("blocks.0.hook_resid_mid");
        shown.Output.ShouldContain("blocks.1.attn.stat_entropy");
        foreach (string plot in new[] { "stream.svg", "sublayers.svg", "heads.svg" }) File.ReadAllText(Path.Combine(In("plots"), plot)).ShouldContain("<polyline");
        using var json = JsonDocument.Parse(CommandLine.Run("capture", "show", In("all.safetensors"), "--json").Output);
        json.RootElement[0].GetProperty("sites").GetArrayLength().ShouldBeGreaterThan(10);
        foreach (string format in new[] { "npz", "csv" }) CommandLine.Run("capture", "export", In("all.safetensors"), "--format", format, "-o", In($"all.{format}")).ExitCode.ShouldBe(0);
        using (var zip = System.IO.Compression.ZipFile.OpenRead(In("all.npz"))) zip.Entries.ShouldContain(e => e.Name == "facts.npy");
        File.ReadLines(In("all.csv")).First().ShouldStartWith("site,group,fact,count");
        File.ReadLines(In("all.csv")).ShouldContain(l => l.StartsWith("blocks.1.attn.stat_sink,generated/16-,head 3,36,", StringComparison.Ordinal));
        CommandLine.Run("capture", "-m", Fable, text, "-o", In("raw"), "--raw", "--type", "bf16", "--sites", "l_out-1").ExitCode.ShouldBe(0);
        using (var raw = ModelFile.Open(Path.Combine(In("raw"), "chunk-000000.safetensors")))
        {
            raw.TryGetTensor("blocks.1.hook_resid_post", out var rows).ShouldBeTrue();
            rows!.Type.ShouldBe(TensorType.BF16);
            raw.TryGetTensor("token_id", out _).ShouldBeTrue();
        }
        CommandLine.Run("capture", "sites", "-m", Fable).Output.ShouldContain("blocks.0.attn.hook_z");
        var misspelled = CommandLine.Run("capture", "-m", Fable, text, "-o", In("no"), "--sites", "blocks.0.hook_resid_mod");
        misspelled.ExitCode.ShouldBe(1);
        misspelled.Error.ShouldContain("nearest: blocks.0.hook_resid_mid");
        foreach (var (shortened, nearest) in new[] { ("resid_pre", "blocks.0.hook_resid_pre"), ("ln_final", "ln_final.hook_scale"), ("mlp_out", "blocks.0.hook_mlp_out") })
            CommandLine.Run("capture", "sites", "-m", Fable, "--sites", shortened).Error.ShouldContain($"nearest: {nearest}");
        CommandLine.Run("capture", "export", In("raw"), "-o", In("raw.npz")).Error.ShouldContain("name one of its chunks");
        CommandLine.Run("capture", "-m", Fable, text, "-o", In("no"), "--shard", "3/2").ExitCode.ShouldBe(2);
        CommandLine.Run("capture", "bench", "--help").Output.ShouldContain("tare capture bench [options]");
        CommandLine.Run("capture", "bench", "--pots").Error.ShouldContain("(tare capture bench --help)");
    }

    [Fact]
    public void Rewritten_coordinates_and_cache_types_are_in_manifest_sites_and_files()
    {
        string text = In("text.txt");
        File.WriteAllText(text, "Once upon a time there was a fox who could count, and every fox in the wood came to learn it.");
        string[] arguments = ["capture", "-m", Fable, text, "--sites", "blocks.0.hook_resid_post"];
        CommandLine.Run([.. arguments, "-o", In("raw")]).ExitCode.ShouldBe(0);
        var rewritten = CommandLine.Run([.. arguments, "-o", In("rms"), "--norm", "rms", "-ctk", "q8_0", "--cache-type-v", "f16"]);
        rewritten.ExitCode.ShouldBe(0, rewritten.Error);
        rewritten.Output.ShouldContain("coordinates norm:rms");
        var identity = CaptureManifest.Find(In("rms"))!.Identity;
        (identity.Coordinates, identity.Precision, identity.CacheTypes).ShouldBe(("norm:rms", "exact", "Q8_0/F16"));
        CaptureManifest.Find(In("raw"))!.Identity.Coordinates.ShouldBe("raw");
        CommandLine.Run("capture", "merge", In("rms"), "-o", In("rms.safetensors")).ExitCode.ShouldBe(0);
        CommandLine.Run("capture", "show", In("rms.safetensors")).Output.ShouldContain("coordinates norm:rms");
        CommandLine.Run("capture", "sites", "-m", Fable, "--norm", "rms", "--json").Output.ShouldContain("\"coordinates\":\"norm:rms\"");
        // RMSNorm needs a centered stream: its mean is gone, and what LayerNorm saw of it is not.
        Mean("rms").ShouldBe(0, 1e-6);
        Math.Abs(Mean("raw")).ShouldBeGreaterThan(1e-4);
        CommandLine.Run([.. arguments, "-o", In("rms"), "--norm", "rms"]).Error.ShouldContain("cache_types is Q8_0/F16 there, F32/F32 here");
        Should.Throw<ModelFileException>(() => Merge("x.safetensors", "raw", "rms")).Message.ShouldContain("coordinates");

        double Mean(string folder) => CaptureMerge.Read([In(folder)]).Sites[0].Columns[RowGroup.Of(1, Phase.Prompt)][(int)RowFact.Mean].Mean;
    }

    [Fact]
    public void Schedulers_name_the_shard()
    {
        Shard(null, []).ShouldBe((0, 1));
        Shard("2/5", []).ShouldBe((2, 5));
        Shard(null, new() { ["SLURM_ARRAY_TASK_ID"] = "7", ["SLURM_ARRAY_TASK_MIN"] = "5", ["SLURM_ARRAY_TASK_COUNT"] = "4" }).ShouldBe((2, 4));
        Shard("/8", new() { ["JOB_COMPLETION_INDEX"] = "3" }).ShouldBe((3, 8));
        Should.Throw<ArgumentException>(() => Shard(null, new() { ["JOB_COMPLETION_INDEX"] = "3" })).Message.ShouldContain("--shard /n");
        Should.Throw<ArgumentException>(() => Shard("/8", []));
        Should.Throw<ArgumentException>(() => Shard("x/8", []));

        static (int, int) Shard(string? asked, Dictionary<string, string> environment) => CaptureShard.Parse(asked, name => environment.GetValueOrDefault(name)) is var shard ? (shard.Index, shard.Count) : default;
    }

    private static CaptureSpec Spec => new() { Statistics = SiteNames.Stream, Channels = true };

    private static List<CaptureSequence> Sequences(int count, int length)
        => [.. Enumerable.Range(0, count).Select(s => new CaptureSequence([.. Enumerable.Range(0, length).Select(i => (s * 31 + i * 7 + i * i) % 500)], (long)s * length))];

    private string In(string name) => Path.Combine(_folder, name);

    private CaptureManifest Job(string folder, List<CaptureSequence> sequences, int shard, int shards, int threads, IProgress<(long, long)>? progress = null, CancellationToken cancel = default)
    {
        using var model = ModelFile.Open(Fable);
        using var backend = new CpuBackend(threads);
        return CaptureJob.Run(model, backend, ArchitectureRegistry.Build(model), Spec, sequences, new CaptureJobOptions { Folder = In(folder), Shard = shard, Shards = shards, Context = 130 }, progress, cancel);
    }

    private void Merge(string output, params string[] folders) => CaptureMerge.Run([.. folders.Select(In)], In(output));

    private void Merge(string output, bool partial, params string[] folders) => CaptureMerge.Run([.. folders.Select(In)], In(output), partial);

    private sealed class Report(Action<(long, long)> action) : IProgress<(long, long)>
    {
        void IProgress<(long, long)>.Report((long, long) value) => action(value);
    }

    private sealed class Collected : ICaptureSink
    {
        public List<RowLabel> Labels { get; } = [];

        public List<float> Rows { get; } = [];

        public void Write(CaptureBlock block)
        {
            Labels.AddRange(block.Labels);
            for (int r = 0; r < block.Rows; r++) Rows.AddRange(block.Row(0, r));
        }

        public void Missing(long sequence, int firstPosition, int count) => throw new InvalidOperationException();

        public void Complete() { }
    }
}
