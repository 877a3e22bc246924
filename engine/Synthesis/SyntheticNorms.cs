using System.Text.Json;
using Tare.Models;

namespace Tare.Synthesis;

/// <summary>The tensors that the norms of a <c>norm</c> section need, in place of the architecture's own.</summary>
public static class SyntheticNorms
{
    /// <summary>Kinds of norms by name; "single-scale", "layer-scaling" and "three-phase" stand for whole sections.</summary>
    public static IReadOnlyList<string> Kinds { get; } = [.. NormSection.Kinds.Keys, "single-scale", "layer-scaling", "three-phase"];

    /// <summary>A section from a kind's name, or JSON as it is. Throws <see cref="ArgumentException"/>.</summary>
    public static string Section(string text)
    {
        switch (text)
        {
            case "single-scale": return """{"kind": "rms", "gain": "scalar"}""";
            case "layer-scaling": return """{"kind": "rms", "layer_scaling": true}""";
            case "three-phase": return """{"kind": "rms", "groups": 3, "phase_rotation": true, "horn": true}""";
        }
        if (NormSection.Kinds.ContainsKey(text)) return JsonSerializer.Serialize(new { kind = text });
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return text;
        }
        catch (JsonException)
        {
        }
        throw new ArgumentException($"norm '{text}' is neither a kind ({string.Join(", ", Kinds)}) nor a JSON object");
    }

    internal static List<SyntheticModel.Tensor> Apply(SyntheticShape shape, List<SyntheticModel.Tensor> tensors)
    {
        if (shape.Norm is null) return tensors;
        using var document = JsonDocument.Parse(shape.Norm);
        var section = document.RootElement;
        string Text(string member, string otherwise) => section.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : otherwise;
        bool Flag(string member) => section.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.True;
        string kind = Text("kind", shape.Architecture == "gpt2" ? "layernorm" : "rms"), final = Text("final", kind == "bhyt-block" ? "bhyt" : kind);
        bool scalar = Text("gain", "") == "scalar";
        var result = new List<SyntheticModel.Tensor>();
        foreach (var tensor in tensors)
            if (!tensor.Name.Contains("_norm.", StringComparison.Ordinal)) result.Add(tensor);
            else if (tensor.Name.EndsWith(".weight", StringComparison.Ordinal)) Norm(tensor.Name[..^".weight".Length], tensor.Name.StartsWith("output_norm", StringComparison.Ordinal) ? final : kind, shape.Width);
        for (int i = 0; i < shape.Blocks; i++)
        {
            string block = $"blk.{i}.";
            if (Text("placement", "pre") == "sandwich")
                foreach (string name in new[] { "attn_output_norm", "mlp_output_norm" }) Norm(block + name, kind, shape.Width);
            foreach (var (member, which, heads) in new[] { ("qk", "q", shape.Heads), ("qk", "k", shape.KvHeads), ("v", "v", shape.KvHeads) })
                if (section.TryGetProperty(member, out var sub)) Add($"{block}attn_{which}_norm.weight", sub.TryGetProperty("width", out var width) && width.GetString() == "full" ? heads * shape.HeadWidth : shape.HeadWidth, 1);
            if (Flag("phase_rotation")) Add($"{block}phase_rotation", shape.Width / 2, (i + 1) * 0.5f / shape.Blocks);
            if (Text("residual", "sum") != "attention") continue;
            Add($"{block}attn_residual.query", shape.Width, 0);
            Add($"{block}mlp_residual.query", shape.Width, 0);
        }
        if (Text("residual", "sum") == "attention") Add("output_residual.query", shape.Width, 0);
        return result;

        void Add(string name, int width, float center) => result.Add(new SyntheticModel.Tensor(name, [width], center, 0.1f));

        void Norm(string name, string of, int width)
        {
            if (of == "none") return;
            Add($"{name}.weight", scalar ? 1 : width, 1);
            if (shape.Architecture == "gpt2" && of != "seednorm" || of is "powernorm" or "unified" or "batchnorm" or "repbn") Add($"{name}.bias", width, 0);
            foreach (string needed in NormSection.Kinds.GetValueOrDefault(of, []))
            {
                bool one = needed.EndsWith(".scalar", StringComparison.Ordinal);
                string suffix = one ? needed[..^".scalar".Length] : needed;
                Add($"{name}.{suffix}", one ? 1 : width, suffix is "running_mean" or "beta" ? 0 : 1);
            }
        }
    }
}
