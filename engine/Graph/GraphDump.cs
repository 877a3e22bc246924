using System.Text;
using System.Text.Json;

namespace Tare.Graphs;

/// <summary>A graph as text (one line a node) and as JSON.</summary>
public static class GraphDump
{
    /// <summary>One line a node: value, type, op, attributes, inputs, weights.</summary>
    public static string ToText(Graph graph)
    {
        var text = new StringBuilder();
        int block = -1;
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            if (node.Block != block) text.AppendLine((block = node.Block) < 0 ? "outside" : $"block {block}");
            text.Append("  %").Append(i).Append(" = ").Append(node.Op.Name).Append('(').AppendJoin(", ", node.Inputs).Append(')');
            if (node.Op.Attributes.Length > 0) text.Append("  {").Append(node.Op.Attributes).Append('}');
            foreach (var weight in node.Op.Weights) text.Append("  ").Append(weight).Append(':').Append(weight.Type);
            text.Append("  → ").AppendJoin(", ", node.Outputs).AppendLine();
        }
        foreach (var output in graph.Outputs) text.Append("output ").Append(output.Name).Append(" = ").Append(output.Value).Append("  ").Append(graph.TypeOf(output.Value)).AppendLine();
        return text.ToString();
    }

    /// <summary>The same as JSON: {"blocks","nodes":[{"id","op","attributes","block","inputs","outputs","weights"}],"outputs","hidden_states"}.</summary>
    public static void WriteJson(Graph graph, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteNumber("blocks", graph.Blocks);
        json.WriteStartArray("nodes");
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            json.WriteStartObject();
            json.WriteNumber("id", i);
            json.WriteString("op", node.Op.Name);
            json.WriteString("attributes", node.Op.Attributes);
            json.WriteNumber("block", node.Block);
            json.WriteStartArray("inputs");
            foreach (var input in node.Inputs) json.WriteStringValue(input.ToString());
            json.WriteEndArray();
            json.WriteStartArray("outputs");
            foreach (var type in node.Outputs) WriteType(json, type);
            json.WriteEndArray();
            json.WriteStartArray("weights");
            foreach (var weight in node.Op.Weights)
            {
                json.WriteStartObject();
                json.WriteString("name", weight.ToString());
                json.WriteNumber("rows", weight.Rows);
                json.WriteNumber("width", weight.Width);
                json.WriteString("type", weight.Type.ToString());
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("outputs");
        foreach (var output in graph.Outputs)
        {
            json.WriteStartObject();
            json.WriteString("name", output.Name);
            json.WriteString("value", output.Value.ToString());
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("hidden_states");
        foreach (var value in graph.HiddenStates) json.WriteStringValue(value.ToString());
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteType(Utf8JsonWriter json, ValueInfo type)
    {
        json.WriteStartObject();
        json.WriteString("rows", type.Rows.ToString());
        json.WriteNumber("width", type.Width);
        json.WriteString("element", type.Element.ToString());
        json.WriteEndObject();
    }
}
