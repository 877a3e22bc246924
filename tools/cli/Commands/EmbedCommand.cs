using System.CommandLine;
using System.Text.Json;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary><c>tare embed</c>: a JSON array of strings on stdin, an array of vectors on stdout: the last hidden state pooled over the tokens of a text, then divided by its L2 norm.</summary>
internal static class EmbedCommand
{
    private const string Output = "embedding";

    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision();
        var json = new Option<bool>("--json") { Description = "The form of input and output (the only one)." };
        var pooling = new Option<string?>("--pooling") { Description = "mean, cls or last (default: as the model says, else mean)." };
        pooling.AcceptOnlyFromAmong("mean", "cls", "last");
        var raw = new Option<bool>("--no-normalize") { Description = "Don't divide by the L2 norm." };
        var threads = SharedOptions.Threads();
        var command = new Command("embed", "Turn a JSON array of strings on stdin into an array of vectors.") { model, json, pooling, raw, precision, threads };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var tokenizer = Tokenizer.Of(file);
            int[][] texts = Array.ConvertAll(StandardInput.Read<string[]>("an array of strings"), t => tokenizer.Encode(t));
            var graph = Pooled(ArchitectureRegistry.Build(file), Kind(file, arguments.GetValue(pooling)));
            graph = SharedOptions.Graph(arguments.GetValue(precision)!, graph);
            using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, arguments.GetValue(threads));
            cancel.ThrowIfCancellationRequested();
            float[] values = texts.Length == 0 ? [] : WholeSequences.Run<float>(backend, graph, texts)[Output];
            int width = texts.Length == 0 ? 0 : values.Length / texts.Length;
            float[][] vectors = [.. Enumerable.Range(0, texts.Length).Select(i => values[(i * width)..((i + 1) * width)])];
            if (!arguments.GetValue(raw))
                foreach (float[] vector in vectors)
                {
                    double norm = Math.Sqrt(vector.Sum(v => (double)v * v));
                    for (int i = 0; norm > 0 && i < vector.Length; i++) vector[i] = (float)(vector[i] / norm);
                }
            Console.Out.WriteLine(JsonSerializer.Serialize(vectors));
            return 0;
        }));
        return command;
    }

    private static Graph Pooled(Graph graph, PoolKind kind)
    {
        var pool = new Pool(kind);
        var last = graph.HiddenStates[^1];
        var node = new Node(pool, [last], pool.Infer([graph.TypeOf(last)]), -1);
        return Verifier.Verify(new Graph(graph.Nodes.Add(node), graph.Outputs, graph.HiddenStates, graph.Blocks).WithOutputs([new GraphOutput(Output, new Value(graph.Nodes.Length))]));
    }

    private static PoolKind Kind(ModelFile file, string? asked)
    {
        long? stored = file is GgufFile gguf ? gguf.Metadata.FindInteger($"{gguf.Metadata.FindString("general.architecture")}.pooling_type") : null;
        return (asked, stored) switch
        {
            ("mean", _) => PoolKind.Mean,
            ("cls", _) => PoolKind.First,
            ("last", _) => PoolKind.Last,
            (_, null or 0 or 1) => PoolKind.Mean,
            (_, 2) => PoolKind.First,
            (_, 3) => PoolKind.Last,
            _ => throw new ModelFileException(file.Path, $"pooling_type {stored} is not known (known: 1 mean, 2 cls, 3 last)"),
        };
    }
}
