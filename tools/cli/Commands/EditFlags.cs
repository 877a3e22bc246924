using System.CommandLine;
using System.Globalization;
using Tare.Capture.Editing;
using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Rewrites;

namespace Tare.Cli.Commands;

/// <summary>The options that edit a model's rows while it runs: <c>--edit</c>, and control vectors under llama.cpp's names.</summary>
internal sealed class EditFlags
{
    private readonly Option<string[]> _edits = new("--edit")
    {
        Description = $"Edit rows while the model runs: ACTION:SITES[:FILE][:NUMBER][:key=value …], or FILE.json; may be repeated. Actions: {string.Join(", ", EditParser.Actions.Keys)}. Sites as in tare capture sites. Keys: layers, heads, channels, positions, phase, tokens, tensor, group, sequence, shift, min, max. Example: add:blocks.3.hook_resid_post:vector.safetensors:0.5:phase=generated",
    };

    private readonly Option<string[]> _vectors = new("--control-vector") { Description = "Add a GGUF control vector: FILE or FILE:SCALE; several by commas or repeated." };

    private readonly Option<string[]> _scaled = new("--control-vector-scaled") { Description = "The same with its scale: FILE:SCALE." };

    private readonly Option<string?> _range = new(RangeName) { Description = "Layers whose directions are added, both ends included: FIRST LAST or FIRST,LAST (default: all; direction N is added behind layer N, counted from 0)." };

    private const string RangeName = "--control-vector-layer-range";

    /// <summary>llama.cpp's two values of the layer range as one, so that what follows may be the prompt.</summary>
    public static string[] Join(string[] arguments)
    {
        int at = Array.IndexOf(arguments, RangeName);
        return at >= 0 && at + 2 < arguments.Length && arguments[at + 1].All(char.IsAsciiDigit) && arguments[at + 2].All(char.IsAsciiDigit) ? [.. arguments[..(at + 1)], $"{arguments[at + 1]},{arguments[at + 2]}", .. arguments[(at + 3)..]] : arguments;
    }

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _edits, _vectors, _scaled, _range }) command.Options.Add(option);
    }

    /// <summary>Reads all files. The edits come once the model's number of layers is known: control vectors first, then <c>--edit</c> in order.</summary>
    public Func<int, IReadOnlyList<EditSpec>> Read(ParseResult arguments)
    {
        var vectors = new List<(ControlVector Vector, double Scale, string Path)>();
        foreach (string item in (arguments.GetValue(_vectors) ?? []).SelectMany(v => v.Split(',')))
        {
            var (path, scale) = Scaled(item);
            vectors.Add((ControlVector.Read(path), scale ?? 1, path));
        }
        foreach (string item in (arguments.GetValue(_scaled) ?? []).SelectMany(v => v.Split(',')))
        {
            var (path, scale) = Scaled(item);
            vectors.Add((ControlVector.Read(path), scale ?? throw new UsageException($"--control-vector-scaled {item}: give FILE:SCALE"), path));
        }
        List<EditSpec> edits = [.. (arguments.GetValue(_edits) ?? []).SelectMany(EditParser.Parse)];
        var range = Range(arguments.GetValue(_range));
        if (range is not null && vectors.Count == 0) throw new UsageException($"{RangeName} needs --control-vector");
        return blocks => [.. vectors.SelectMany(v => v.Vector.Edits(v.Scale, blocks, range?.First, range?.Last, v.Path)), .. edits];
    }

    /// <summary>The graph's variant with the edits for commands that run sequences one after the other; the graph itself without edits.</summary>
    public (Graph Graph, StepEdits? Edits, EditedGraph? Edited) Apply(ParseResult arguments, Graph graph, StreamCoordinates coordinates)
    {
        var edits = Read(arguments)(graph.Blocks);
        var tools = edits.Count == 0 ? null : new EditPlanner(graph, coordinates).ForTools(edits);
        return tools is { } found ? (found.Graph.Graph, found.Edits, found.Graph) : (graph, null, null);
    }

    /// <summary>The edits as they were asked for; empty without.</summary>
    public string Describe(ParseResult arguments)
    {
        string range = arguments.GetValue(_range) is { } layers ? $" {RangeName} {layers}" : "";
        return string.Join(' ', new[] { _vectors, _scaled, _edits }.SelectMany(o => (arguments.GetValue(o) ?? []).Select(v => $"{o.Name} {v}"))) + range;
    }

    private static (int First, int Last)? Range(string? text)
    {
        if (text is null) return null;
        return text.Split(',') is [var a, var b] && int.TryParse(a, NumberStyles.None, CultureInfo.InvariantCulture, out int first) && int.TryParse(b, NumberStyles.None, CultureInfo.InvariantCulture, out int last) && first <= last
            ? (first, last) : throw new UsageException($"{RangeName} {text}: give the first and the last layer");
    }

    private static (string Path, double? Scale) Scaled(string item)
    {
        int colon = item.LastIndexOf(':');
        return colon > 0 && double.TryParse(item.AsSpan(colon + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double scale) && double.IsFinite(scale) ? (item[..colon], scale) : (item, null);
    }
}
