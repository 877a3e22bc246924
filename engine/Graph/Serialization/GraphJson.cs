using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Serialization;

/// <summary>A whole graph as JSON, weights by name: {"version", "blocks", "nodes": [{"op", "block", "inputs", …}], "outputs", "hidden_states"}; a value is "node" or "node.output".</summary>
public static class GraphJson
{
    private const int Version = 1, MaximumNodes = 1 << 20;

    private static readonly Dictionary<string, Type> Known = typeof(Op).Assembly.GetTypes()
        .Where(t => t.IsPublic && t.IsSubclassOf(typeof(Op)) && !t.IsSubclassOf(typeof(FusedOp)) && !t.IsAbstract && t.Namespace == typeof(Linear).Namespace).ToDictionary(t => t.Name, StringComparer.Ordinal);

    /// <summary>Writes a graph.</summary>
    public static void Write(Utf8JsonWriter json, Graph graph, Func<Weight, string> nameOf)
    {
        json.WriteStartObject();
        json.WriteNumber("version", Version);
        json.WriteNumber("blocks", graph.Blocks);
        json.WriteStartArray("nodes");
        foreach (var node in graph.Nodes)
        {
            if (!Known.ContainsKey(node.Op.Name)) throw new GraphException($"{node.Op.Name} can't be written into a file");
            json.WriteStartObject();
            json.WriteString("op", node.Op.Name);
            if (node.Block >= 0) json.WriteNumber("block", node.Block);
            WriteValues(json, "inputs", node.Inputs);
            RecordJson.Write(json, node.Op, nameOf);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("outputs");
        foreach (var output in graph.Outputs) json.WriteString(output.Name, Text(output.Value));
        json.WriteEndObject();
        WriteValues(json, "hidden_states", graph.HiddenStates);
        json.WriteEndObject();
    }

    /// <summary>Reads and verifies a graph. Throws <see cref="GraphException"/>.</summary>
    public static Graph Read(JsonElement json, Func<string, Weight> weightOf)
    {
        if (json.ValueKind != JsonValueKind.Object || Integer(json, "version") != Version) throw new GraphException($"version {Integer(json, "version")} of a graph is not known (known: {Version})");
        var nodes = ImmutableArray.CreateBuilder<Node>();
        foreach (var item in Items(json, "nodes")) nodes.Add(ReadNode(item, nodes, weightOf));
        int blocks = Integer(json, "blocks") is >= 0 and <= MaximumNodes and int count ? count : throw new GraphException($"{Integer(json, "blocks")} blocks");
        if (!json.TryGetProperty("outputs", out var outputs) || outputs.ValueKind != JsonValueKind.Object) throw new GraphException("the graph has no outputs");
        return Verifier.Verify(new Graph(nodes.ToImmutable(), [.. outputs.EnumerateObject().Select(o => new GraphOutput(o.Name, Parse(o.Value)))], [.. Items(json, "hidden_states").Select(Parse)], blocks));
    }

    private static Node ReadNode(JsonElement json, ImmutableArray<Node>.Builder nodes, Func<string, Weight> weightOf)
    {
        if (nodes.Count >= MaximumNodes) throw new GraphException($"more than {MaximumNodes} nodes");
        string name = json.ValueKind == JsonValueKind.Object && json.TryGetProperty("op", out var member) && member.ValueKind == JsonValueKind.String ? member.GetString()! : "";
        if (!Known.TryGetValue(name, out var type)) throw new GraphException($"%{nodes.Count}: op '{name}' is not known");
        try
        {
            var op = (Op)RecordJson.Read(json, type, weightOf);
            ImmutableArray<Value> inputs = [.. Items(json, "inputs").Select(Parse)];
            foreach (var input in inputs)
                if (input.Node < 0 || input.Node >= nodes.Count || input.Output < 0 || input.Output >= nodes[input.Node].Outputs.Length) throw new GraphException($"{input} is not an earlier value");
            return new Node(op, inputs, op.Infer([.. inputs.Select(v => nodes[v.Node].Outputs[v.Output])]), json.TryGetProperty("block", out _) ? Integer(json, "block") : -1);
        }
        catch (GraphException e)
        {
            throw new GraphException($"%{nodes.Count} {e.Message}");
        }
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement json, string name)
        => json.TryGetProperty(name, out var array) && array.ValueKind == JsonValueKind.Array ? array.EnumerateArray() : throw new GraphException($"'{name}' is missing or no array");

    private static int Integer(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : -1;

    private static void WriteValues(Utf8JsonWriter json, string name, ImmutableArray<Value> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteStringValue(Text(value));
        json.WriteEndArray();
    }

    private static string Text(Value value) => value.Output == 0 ? $"{value.Node}" : $"{value.Node}.{value.Output}";

    private static Value Parse(JsonElement json)
    {
        string[] parts = json.ValueKind == JsonValueKind.String ? json.GetString()!.Split('.') : [];
        if (parts.Length is 1 or 2 && parts.All(p => int.TryParse(p, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
            return new Value(int.Parse(parts[0], CultureInfo.InvariantCulture), parts.Length == 1 ? 0 : int.Parse(parts[1], CultureInfo.InvariantCulture));
        throw new GraphException($"{json} is not a value");
    }
}
