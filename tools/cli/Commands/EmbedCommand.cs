using System.CommandLine;
using System.Text.Json;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary><c>tare embed</c>: a JSON array of strings on stdin, an array of vectors on stdout: the last hidden state pooled over the tokens of a text, then divided by its L2 norm.</summary>
internal static class EmbedCommand
{
    private const string Output = "embedding";
    private const int BatchRows = 512;

    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision();
        var json = new Option<bool>("--json") { Description = "The form of input and output (the only one)." };
        var pooling = new Option<string?>("--pooling") { Description = "mean, cls or last (default: as the model says, else mean)." };
        pooling.AcceptOnlyFromAmong("mean", "cls", "last");
        var raw = new Option<bool>("--no-normalize") { Description = "Don't divide by the L2 norm." };
        var normal = new Option<bool>("--normalize") { Description = "Divide by the L2 norm (default: as the model says, else yes)." };
        var threads = SharedOptions.Threads();
        var command = new Command("embed", "Turn a JSON array of strings on stdin into an array of vectors.") { model, json, pooling, normal, raw, precision, threads };
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            if (arguments.GetValue(raw) && arguments.GetValue(normal)) throw new UsageException("embed: give either --normalize or --no-normalize");
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var tokenizer = Tokenizer.Of(file);
            var recipe = EmbeddingRecipe.Of(file);
            if (Kind(arguments.GetValue(pooling)) is { } kind) recipe = recipe with { Pooling = kind };
            if (arguments.GetValue(raw) || arguments.GetValue(normal)) recipe = recipe with { Normalize = arguments.GetValue(normal) };
            var (graph, stepEdits, _) = edits.Apply(arguments, ArchitectureRegistry.Build(file), new StreamCoordinates());
            int[][] texts = Array.ConvertAll(StandardInput.Read<string[]>("an array of strings"), t => tokenizer.Encode(t));
            for (int i = 0; i < texts.Length; i++)
            {
                if (texts[i].Length == 0) throw new ArgumentException($"text {i} has no tokens");
                ContextLength.Check(file, graph, $"text {i}", texts[i].Length);
            }
            using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, arguments.GetValue(threads));
            var vectors = texts.Length == 0 ? [] : Embed(backend, SharedOptions.Graph(arguments.GetValue(precision)!, Pooled(graph, recipe.Pooling)), texts, recipe.Normalize, stepEdits, cancel);
            Console.Out.WriteLine(JsonSerializer.Serialize(vectors));
            return 0;
        }));
        return command;
    }

    // Texts in order, as many a step as fit.
    private static List<float[]> Embed(IBackend backend, Graph graph, int[][] texts, bool normalize, StepEdits? edits, CancellationToken cancel)
    {
        var batches = new List<int[][]>();
        for (int at = 0, count; at < texts.Length; at += count)
        {
            count = 1;
            int rows = texts[at].Length;
            while (at + count < texts.Length && rows + texts[at + count].Length <= BatchRows) rows += texts[at + count++].Length;
            batches.Add(texts[at..(at + count)]);
        }
        var vectors = new List<float[]>();
        foreach (var (batch, outputs) in batches.Zip(WholeSequences.RunBatches<float>(backend, graph, batches, new LoadReport(), cancel, edits)))
        {
            float[] values = outputs[Output];
            int count = batch.Length, width = values.Length / count;
            for (int i = 0; i < count; i++) vectors.Add(normalize ? Normalized(values[(i * width)..((i + 1) * width)]) : values[(i * width)..((i + 1) * width)]);
            Progress.Show("texts", vectors.Count, texts.Length);
        }
        Progress.End();
        return vectors;
    }

    private static float[] Normalized(float[] vector)
    {
        double norm = Math.Sqrt(vector.Sum(v => (double)v * v));
        return norm > 0 ? Array.ConvertAll(vector, v => (float)(v / norm)) : vector;
    }

    private static PoolKind? Kind(string? asked) => asked switch { "mean" => PoolKind.Mean, "cls" => PoolKind.First, "last" => PoolKind.Last, _ => null };

    private static Graph Pooled(Graph graph, PoolKind kind)
    {
        var pool = new Pool(kind);
        var last = graph.HiddenStates[^1];
        var node = new Node(pool, [last], pool.Infer([graph.TypeOf(last)]), -1);
        return Verifier.Verify(new Graph(graph.Nodes.Add(node), graph.Outputs, graph.HiddenStates, graph.Blocks).WithOutputs([new GraphOutput(Output, new Value(graph.Nodes.Length))]));
    }
}
