using System.CommandLine;
using System.Text.Json;
using Tare.Capture;
using Tare.Capture.Jobs;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture</c>: statistics or rows of a model's residual stream over texts, into a folder of chunks; with the commands that list sites, merge, show and export.</summary>
internal static class CaptureCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision(), output = new("-o", "--output") { Description = "The folder of chunks and manifest; a run that was stopped goes on there.", Required = true };
        var file = new Argument<string>("file") { Description = "A text file, a .jsonl file (a line a text: {\"text\": …} or {\"ids\": […]}), or - for text on stdin." };
        var sites = new Option<string>("--sites") { Description = "Sites: names, globs, {a,b}, {2..5}, separated by commas; see tare capture sites.", DefaultValueFactory = _ => SiteNames.Stream };
        Option<bool> statistics = new("--stats") { Description = "Statistics of the rows (the default)." }, raw = new("--raw") { Description = "The rows themselves." }, channels = new("--channels") { Description = "Statistics of every channel too." };
        var type = new Option<string>("--type") { Description = "Element type of --raw: f32 or bf16.", DefaultValueFactory = _ => "f32" };
        type.AcceptOnlyFromAmong("f32", "bf16");
        var shard = new Option<string?>("--shard") { Description = "Part i of n, from 0, as i/n; /n takes i from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID. Default: SLURM_ARRAY_TASK_ID of SLURM_ARRAY_TASK_COUNT, else 0/1." };
        var generate = new Option<int>("--generate") { Description = "Tokens to generate (greedily, always all) behind each sequence; their rows are captured too." };
        var context = new Option<int>("-c", "--context") { Description = "Longest sequence, with what is generated; longer texts are cut.", DefaultValueFactory = _ => 512 };
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType(), norm = SharedOptions.Norm();
        Option<bool> json = SharedOptions.Json(), noMap = SharedOptions.NoMap();
        var threads = SharedOptions.Threads();
        var command = new Command("capture", "Capture statistics or rows of the residual stream.") { file, model, sites, statistics, raw, channels, type, shard, generate, context, precision, keyType, valueType, norm, threads, noMap, json, output };
        foreach (var sub in new[] { CaptureSitesCommand.Create(), CaptureMergeCommand.Create(), CaptureShowCommand.Create(), CaptureExportCommand.Create(), CaptureBenchCommand.Create(), CaptureVectorCommand.Create() }) command.Subcommands.Add(sub);
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            if (arguments.GetValue(statistics) && arguments.GetValue(raw)) throw new UsageException("capture: give either --stats or --raw");
            if (arguments.GetValue(raw) && arguments.GetValue(channels)) throw new UsageException("capture: --channels belongs to --stats");
            if (arguments.GetValue(generate) < 0) throw new UsageException($"--generate {arguments.GetValue(generate)}: give at least 0");
            var (part, parts) = Shard(arguments.GetValue(shard));
            using var opened = ModelFile.Open(arguments.GetValue(model)!, new OpenOptions { Map = !arguments.GetValue(noMap) });
            Graph own = ArchitectureRegistry.Build(opened), rewritten = SharedOptions.WithNorms(own, arguments.GetValue(norm), out var stream);
            var graph = SharedOptions.Graph(arguments.GetValue(precision)!, rewritten, arguments.GetValue(keyType), arguments.GetValue(valueType));
            string coordinates = SharedOptions.Coordinates(own, rewritten, arguments.GetValue(norm));
            string name = arguments.GetValue(file)!;
            int window = Math.Min(arguments.GetValue(context), ContextLength.Choose(opened, graph, null));
            if (arguments.GetResult(context) is { Implicit: false }) window = ContextLength.Choose(opened, graph, arguments.GetValue(context));
            var spec = arguments.GetValue(raw) ? new CaptureSpec { Rows = arguments.GetValue(sites) } : new CaptureSpec { Statistics = arguments.GetValue(sites), Channels = arguments.GetValue(channels) };
            var (_, stepEdits, edited) = edits.Apply(arguments, graph, stream);
            _ = spec.Apply(graph); // names are checked before a long text is read
            var sequences = CaptureInput.Read(name, name == "-" ? StandardInput.ReadText() : File.ReadAllText(name), name.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase), Tokenizer.Find(opened), opened.Path, Vocabulary(graph), window, arguments.GetValue(generate));
            using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, arguments.GetValue(threads));
            var manifest = CaptureJob.Run(opened, backend, graph, spec, sequences, new CaptureJobOptions
            {
                Folder = arguments.GetValue(output)!,
                Shard = part,
                Shards = parts,
                Context = window,
                Generate = arguments.GetValue(generate),
                Type = arguments.GetValue(type) == "bf16" ? TensorType.BF16 : TensorType.F32,
                Coordinates = coordinates,
                Precision = arguments.GetValue(precision)!,
                Edits = edited is null ? null : (edited, stepEdits!),
                InputName = name == "-" ? "stdin" : Path.GetFileName(name),
            }, new ChunkReport(), cancel);
            Progress.End();
            long rows = manifest.Chunks.Sum(c => c.Rows);
            if (arguments.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(new { folder = arguments.GetValue(output), shard = part, shards = parts, sequences = manifest.Identity.Sequences, rows, chunks = manifest.Chunks.Count, coordinates }));
            else Console.Out.WriteLine($"{rows} rows of {manifest.Identity.Rows} in {manifest.Chunks.Count} chunks, {manifest.Identity.Sequences} sequences{(coordinates == "raw" ? "" : $"; coordinates {coordinates}")}");
            return 0;
        }));
        return command;
    }

    private static CaptureShard Shard(string? asked)
    {
        try
        {
            return CaptureShard.Parse(asked, Environment.GetEnvironmentVariable);
        }
        catch (ArgumentException e)
        {
            throw new UsageException(e.Message);
        }
    }

    private static int Vocabulary(Graph graph) => (int)Math.Min(int.MaxValue, graph.Nodes.Select(n => n.Op).OfType<Tare.Graphs.Ops.Embed>().First().Table.Rows);

    private sealed class ChunkReport : IProgress<(long Done, long Total)>
    {
        public void Report((long Done, long Total) value) => Progress.Show("chunks", value.Done, value.Total);
    }
}
