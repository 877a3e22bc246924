using System.CommandLine;
using Tare.Formats;
using Tare.Synthesis;

namespace Tare.Cli.Commands;

/// <summary><c>tare synth</c>: a model with random weights of a given shape, for tests and timings.</summary>
internal static class SynthCommand
{
    public static Command Create()
    {
        var like = new Option<string>("--like") { Description = $"A shape: {string.Join(", ", SyntheticShape.Known.Keys)}.", Required = true };
        like.AcceptOnlyFromAmong([.. SyntheticShape.Known.Keys]);
        Option<int?> Size(string name, string what) => new(name) { Description = $"{what} (default: the shape's)." };
        Option<int?> layers = Size("--layers", "Blocks"), width = Size("--width", "Width of the residual stream"), heads = Size("--heads", "Query heads"), kvHeads = Size("--kv-heads", "Key heads"),
            headWidth = Size("--head-width", "Width of a head"), inner = Size("--inner", "Width of the MLP"), vocabulary = Size("--vocab", "Tokens"), context = Size("--context", "Positions that the model is made for"), experts = Size("--experts", "Experts in place of the MLP (llama, recursive)"), shared = Size("--shared", "Blocks with weights of their own (recursive)");
        var type = new Option<string>("--type") { Description = $"Type of the matrices: {string.Join(", ", SyntheticModel.Types)}.", DefaultValueFactory = _ => "F16" };
        type.AcceptOnlyFromAmong([.. SyntheticModel.Types.Select(t => t.ToString())]);
        var seed = new Option<int>("-s", "--seed") { Description = "Seed of the weights." };
        var norm = new Option<string?>("--norm") { Description = $"Other norms (llama and gpt2 shapes): {string.Join(", ", SyntheticNorms.Kinds)}, or a norm section as JSON (docs/norms.md)." };
        var output = SharedOptions.Output();
        var command = new Command("synth", "Write a model with random weights.") { like, layers, width, heads, kvHeads, headWidth, inner, vocabulary, context, experts, shared, type, norm, seed, output };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            var shape = SyntheticShape.Known[arguments.GetValue(like)!];
            shape = shape with
            {
                Blocks = arguments.GetValue(layers) ?? shape.Blocks,
                Width = arguments.GetValue(width) ?? shape.Width,
                Heads = arguments.GetValue(heads) ?? shape.Heads,
                KvHeads = arguments.GetValue(kvHeads) ?? (shape.KvHeads == shape.Heads ? arguments.GetValue(heads) ?? shape.KvHeads : shape.KvHeads),
                HeadWidth = arguments.GetValue(headWidth) ?? HeadWidthOf(shape, arguments.GetValue(width), arguments.GetValue(heads)),
                Inner = arguments.GetValue(inner) ?? shape.Inner,
                Vocabulary = arguments.GetValue(vocabulary) ?? shape.Vocabulary,
                Context = arguments.GetValue(context) ?? shape.Context,
                Experts = arguments.GetValue(experts) ?? shape.Experts,
                Shared = arguments.GetValue(shared) ?? Math.Min(shape.Shared, arguments.GetValue(layers) ?? shape.Blocks),
                Norm = arguments.GetValue(norm) is string text ? SyntheticNorms.Section(text) : null,
            };
            SyntheticModel.Write(arguments.GetValue(output)!, shape, Enum.Parse<TensorType>(arguments.GetValue(type)!), arguments.GetValue(seed), new TensorReport(), cancel);
            Progress.End();
            return 0;
        }));
        return command;
    }

    // Where heads must fill the width, they do so for another width or number of heads too.
    private static int HeadWidthOf(SyntheticShape shape, int? width, int? heads)
        => shape.KvHeads == shape.Heads && shape.Heads * shape.HeadWidth == shape.Width ? Math.Max(1, (width ?? shape.Width) / Math.Max(1, heads ?? shape.Heads)) : shape.HeadWidth;

    private sealed class TensorReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("tensors", value.Done, value.Total);
    }
}
