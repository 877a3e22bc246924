using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Runtime.InteropServices;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Models;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary><c>tare logits</c>: logits of every position, and the hidden states as Hugging Face counts them, into a .safetensors file.</summary>
internal static class LogitsCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), output = SharedOptions.Output(), precision = SharedOptions.Precision(SharedOptions.Fast);
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType();
        var ids = new Option<int[]>("--ids") { Description = "Token ids, separated by commas; nothing is added.", CustomParser = ParseIds };
        var text = new Option<string>("--text") { Description = "A text; BOS is added as the file says, special tokens in it are parsed." };
        var hidden = new Option<bool>("--hidden") { Description = "Also write hidden_states [layers + 1, T, width]." };
        var chunk = new Option<int>("--chunk") { Description = "Tokens a step; the results do not depend on it.", DefaultValueFactory = _ => 32 };
        Option<int> threads = SharedOptions.Threads();
        var noMap = SharedOptions.NoMap();
        var norm = SharedOptions.Norm();
        var command = new Command("logits", "Compute the logits of every position of a sequence.") { model, ids, text, hidden, precision, norm, keyType, valueType, threads, chunk, noMap, output };
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            if (arguments.GetValue(chunk) < 1) throw new UsageException($"--chunk {arguments.GetValue(chunk)}: give at least 1");
            bool byIds = arguments.GetResult(ids) is not null;
            if (byIds == arguments.GetResult(text) is not null) throw new UsageException("logits: give either --ids or --text");
            using var file = ModelFile.Open(arguments.GetValue(model)!, new OpenOptions { Map = !arguments.GetValue(noMap) });
            string target = arguments.GetValue(output)!;
            file.RefuseToOverwrite(target);
            var graph = ArchitectureRegistry.Build(file);
            if (graph.FindOutput(GraphBuilder.LogitsOutput) is null && !arguments.GetValue(hidden)) throw new ModelFileException(file.Path, "the model has no head, so it gives no logits; ask for --hidden");
            graph = SharedOptions.Graph(arguments.GetValue(precision)!, SharedOptions.WithNorms(graph, arguments.GetValue(norm), out var coordinates), arguments.GetValue(keyType), arguments.GetValue(valueType));
            (graph, var stepEdits, _) = edits.Apply(arguments, graph, coordinates);
            if (arguments.GetValue(hidden))
                graph = graph.WithOutputs([.. graph.Outputs.Where(o => o.Name == GraphBuilder.LogitsOutput), .. graph.HiddenStates.Select((v, i) => new GraphOutput($"hidden_states.{i}", v))]);
            int[] tokens = byIds ? arguments.GetValue(ids)! : Tokenizer.Of(file).Encode(arguments.GetValue(text)!);
            ContextLength.Check(file, graph, "the sequence", tokens.Length);
            using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, arguments.GetValue(threads));
            var values = WholeSequences.RunChunked<float>(backend, graph, tokens, arguments.GetValue(chunk), new LoadReport(), cancel, edits: stepEdits);
            Progress.End();
            Write(target, graph, values, tokens.Length);
            return 0;
        }));
        return command;
    }

    private static void Write(string target, Graph graph, Dictionary<string, float[]> values, int tokens)
    {
        var tensors = new List<TensorToWrite>();
        if (values.TryGetValue(GraphBuilder.LogitsOutput, out float[]? logits)) tensors.Add(Tensor(GraphBuilder.LogitsOutput, [tokens, logits.Length / tokens], logits));
        float[][] states = [.. graph.Outputs.Where(o => o.Name != GraphBuilder.LogitsOutput).Select(o => values[o.Name])];
        if (states.Length > 0 && states.All(s => s.Length == states[0].Length))
            tensors.Add(Tensor("hidden_states", [states.Length, tokens, states[0].Length / tokens], states));
        else
            for (int i = 0; i < states.Length; i++) tensors.Add(Tensor($"hidden_states.{i}", [tokens, states[i].Length / tokens], states[i]));
        SafetensorsWriter.Write(target, tensors);
    }

    private static TensorToWrite Tensor(string name, long[] shape, params float[][] parts) => new(name, TensorType.F32, [.. shape], stream =>
    {
        foreach (float[] part in parts) stream.Write(MemoryMarshal.AsBytes<float>(part.AsSpan()));
    });

    private static int[]? ParseIds(ArgumentResult result)
    {
        var ids = new List<int>();
        foreach (string part in result.Tokens.SelectMany(t => t.Value.Split(',')))
            if (int.TryParse(part, NumberStyles.Integer, CultureInfo.InvariantCulture, out int id)) ids.Add(id);
            else
            {
                result.AddError($"--ids: '{part}' is not a token id");
                return null;
            }
        return [.. ids];
    }
}
