using System.Text.Json;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>
/// The <c>norm</c> section of a research checkpoint (an object of config.json, or JSON text under <c>ARCH.norm</c> in GGUF): which norm operators a Llama- or GPT-2-shaped model has, and where they stand.
/// docs/norms.md lists its members. Tensors of a norm lie under the name that the architecture gives it: <c>.weight</c>, <c>.bias</c>, and what its kind needs besides.
/// </summary>
internal sealed class NormSection
{
    /// <summary>Kinds that can be named, and the tensors that each needs beside gain and bias ('.scalar': one number; the rest are as wide as the row).</summary>
    public static IReadOnlyDictionary<string, string[]> Kinds { get; } = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["layernorm"] = [],
        ["rms"] = [],
        ["unit-length"] = [],
        ["static"] = [],
        ["none"] = [],
        ["dyt"] = ["alpha.scalar"],
        ["bhyt"] = ["alpha.scalar"],
        ["bhyt-block"] = ["alpha.scalar"],
        ["seednorm"] = ["alpha", "beta"],
        ["powernorm"] = ["running_var"],
        ["unified"] = ["running_var"],
        ["batchnorm"] = ["running_mean", "running_var"],
        ["repbn"] = ["running_mean", "running_var", "eta.scalar"],
    };

    private static readonly string[] Members = ["kind", "epsilon", "groups", "gain", "gain_offset", "layer_scaling", "center", "kappa", "sequence_length", "statistics_epsilon", "final", "placement", "post_layers", "qk", "v",
        "residual", "phase_rotation", "horn"];

    private readonly JsonElement? _json;
    private readonly Config _config;
    private readonly NormSpec _standard;

    private NormSection(Config config, JsonElement? json, NormSpec standard)
    {
        (_config, _json, _standard) = (config, json, standard);
        if (json is not { } section) return;
        if (section.ValueKind != JsonValueKind.Object) throw config.Error("norm", $"{section.ValueKind} is not an object");
        foreach (var member in section.EnumerateObject())
            if (!Members.Contains(member.Name)) throw config.Error("norm", $"member '{member.Name}' is not known (known: {string.Join(", ", Members)})");
        Kind = Text("kind", Standard(standard), Kinds.Keys);
        Final = Text("final", Kind == "bhyt-block" ? "bhyt" : Kind, Kinds.Keys);
        Placement = Text("placement", "pre", ["pre", "post", "sandwich", "parallel"]);
        PostLayers = (int)Number("post_layers", 0, 0, 1 << 16);
        Residual = Text("residual", "sum", ["sum", "attention"]);
        Phases = Flag("phase_rotation");
        Horn = Flag("horn");
        _ = Text("gain", "vector", ["vector", "scalar"]); // the tensors themselves tell; the member is for their writers
        if (Residual == "attention" && (Placement != "pre" || PostLayers > 0 || Phases)) throw config.Error("norm", "residual attention stands with placement pre only");
    }

    /// <summary>The kind of the blocks' norms.</summary>
    public string Kind { get; } = "";

    /// <summary>The kind of the final norm.</summary>
    public string Final { get; } = "";

    /// <summary>pre, post, sandwich or parallel.</summary>
    public string Placement { get; } = "pre";

    /// <summary>The first layers that are post-norm whatever the placement (Mix-LN).</summary>
    public int PostLayers { get; }

    /// <summary>sum, or attention (Attention Residuals).</summary>
    public string Residual { get; } = "sum";

    /// <summary>Whether the stream is turned between attention and MLP of each block (Three-Phase Transformer).</summary>
    public bool Phases { get; }

    /// <summary>Whether the embedding's mean is replaced by 1/(position + 1) (Three-Phase Transformer).</summary>
    public bool Horn { get; }

    /// <summary>Reads the section, if there is one; without one every norm is <paramref name="standard"/>.</summary>
    public static NormSection Read(Config config, NormSpec standard) => new(config, config.FindDocument("norm", "norm"), standard);

    /// <summary>The norm called <paramref name="huggingFace"/> or <paramref name="gguf"/>; <paramref name="layer"/> counts from 0, null = the final one.</summary>
    public Value Apply(GraphBuilder g, Value x, WeightSource w, string huggingFace, string gguf, int? layer, (Value Rows, Weight Extra)? shared = null)
        => _json is null ? g.Norm(x, _standard, w.Norm(huggingFace, gguf)) : Apply(g, x, w, huggingFace, gguf, layer is null ? Final : Kind, Groups(), layer, shared);

    /// <summary>The norms of queries and keys, or of values; null where the section has none.</summary>
    public Func<Value, Value>? Heads(GraphBuilder g, WeightSource w, string member, string huggingFace, string gguf, int heads)
    {
        if (_json is not { } section || !section.TryGetProperty(member, out var sub)) return null;
        if (sub.ValueKind != JsonValueKind.Object) throw _config.Error($"norm.{member}", $"{sub.ValueKind} is not an object");
        string kind = Text(sub, "kind", "rms", ["rms", "layernorm", "unit-length"]), width = Text(sub, "width", "head", ["head", "full"]);
        return v => Apply(g, v, w, huggingFace, gguf, kind, width == "head" ? heads : 1, null, null);
    }

    /// <summary>Whether queries and keys are normalized behind the rotation.</summary>
    public bool AfterRotation => _json is { } section && section.TryGetProperty("qk", out var sub) && sub.TryGetProperty("after_rope", out var after) && after.ValueKind == JsonValueKind.True;

    /// <summary>What attention adds to the mean square of the stream, for the MLP norms of a bhyt-block.</summary>
    public Weight Energy(WeightSource w, string huggingFace, string gguf, Weight output, Weight values, int headWidth)
        => new ProductEnergyWeight(output, values, w.Get($"{huggingFace}.alpha", $"{gguf}.alpha"), Kappa, (int)Number("sequence_length", 1024, 1, 1 << 24), headWidth);

    private double Kappa => Number("kappa", 10, 1e-6, 1e6);

    private Value Apply(GraphBuilder g, Value x, WeightSource w, string huggingFace, string gguf, string kind, int groups, int? layer, (Value Rows, Weight Extra)? shared)
    {
        if (kind == "none") return x;
        int width = g.WidthOf(x);
        Weight? Vector(string suffix, bool wide = true) => w.Find($"{huggingFace}.{suffix}", $"{gguf}.{suffix}") is not { } found ? null
            : wide && found is { Rows: 1, Width: 1 } && width > 1 ? new BroadcastWeight(found, width)
            : found.Rows > 1 ? new ReshapeWeight(found, 1, checked((int)(found.Rows * found.Width))) : found;
        Weight Needed(string suffix, bool wide = true) => Vector(suffix, wide) ?? throw w.Missing($"{huggingFace}.{suffix}", $"{gguf}.{suffix}");
        double epsilon = Number("epsilon", _standard.Epsilon, 0, 1e30), statistics = Number("statistics_epsilon", 1e-5, 0, 1);
        int offset = (int)Number("gain_offset", _standard.GainOffset, 0, 1);
        double scale = layer is int l && Flag("layer_scaling") ? 1 / Math.Sqrt(l + 1) : 1;
        Weight? gain = Vector("weight"), bias = Vector("bias");
        NormSpec Spec(NormKind of) => new(of, epsilon, offset, groups) { OutputScale = scale };
        NormSpec still = new(NormKind.Static, 1, Center: Flag("center")) { OutputScale = scale };
        return kind switch
        {
            "layernorm" => g.Norm(x, NormSpec.LayerNorm(epsilon, groups) with { GainOffset = offset, OutputScale = scale }, new(gain, bias)),
            "rms" => g.Norm(x, NormSpec.RmsNorm(epsilon, offset, groups) with { OutputScale = scale }, new(gain, bias)),
            "unit-length" => g.Norm(x, Spec(NormKind.UnitLength), new(gain, bias)),
            "static" => g.Norm(x, still, new(gain, bias)),
            "dyt" => g.Append(new Norm(Spec(NormKind.DynamicTanh), gain, bias) { Alpha = Needed("alpha", wide: false) }, x),
            "bhyt" or "bhyt-block" when shared is { } rows => g.Append(new Norm(Spec(NormKind.BoundedTanh) with { Bound = Kappa }, gain, bias) { Alpha = Needed("alpha", wide: false), ExtraVariance = rows.Extra }, x, rows.Rows),
            "bhyt" or "bhyt-block" => g.Append(new Norm(Spec(NormKind.BoundedTanh) with { Bound = Kappa }, gain, bias) { Alpha = Needed("alpha", wide: false) }, x),
            "seednorm" => g.Append(new Norm(Spec(NormKind.DynamicGain), Needed("weight"), null) { Alpha = Needed("alpha"), Direction = Needed("beta") }, x),
            "powernorm" => g.Norm(x, NormSpec.RmsNorm(epsilon, 0, groups) with { OutputScale = scale }, new(new StatisticsGainWeight(Needed("weight"), Needed("running_var"), statistics), bias)),
            "unified" => g.Norm(x, still, new(new StatisticsGainWeight(Needed("weight"), Needed("running_var"), statistics), bias)),
            _ => g.Norm(x, still, new(new StatisticsGainWeight(Needed("weight"), Needed("running_var"), statistics, kind == "repbn" ? Needed("eta", wide: false) : null),
                new StatisticsBiasWeight(Needed("bias"), Needed("weight"), Needed("running_mean"), Needed("running_var"), statistics))),
        };
    }

    private int Groups() => (int)Number("groups", 1, 1, 1 << 16);

    private static string Standard(NormSpec spec) => spec.Kind == NormKind.LayerNorm ? "layernorm" : "rms";

    private bool Flag(string member) => _json is { } section && section.TryGetProperty(member, out var value) && value.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => throw _config.Error($"norm.{member}", $"{value} is not a bool") };

    private string Text(string member, string otherwise, IEnumerable<string> known) => Text(_json!.Value, member, otherwise, known);

    private string Text(JsonElement section, string member, string otherwise, IEnumerable<string> known)
    {
        if (!section.TryGetProperty(member, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.String && known.Contains(value.GetString()) ? value.GetString()! : throw _config.Error($"norm.{member}", $"{value} is not known (known: {string.Join(", ", known)})");
    }

    private double Number(string member, double otherwise, double least, double most)
    {
        if (_json is not { } section || !section.TryGetProperty(member, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number && value.GetDouble() is var number && number >= least && number <= most ? number : throw _config.Error($"norm.{member}", $"{value} is not a number between {least:G} and {most:G}");
    }
}
