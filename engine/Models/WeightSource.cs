using System.Collections.Immutable;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>
/// Finds tensors under a pair of scopes: one for Hugging Face names, one for GGUF names. The name that a format lacks is null. A checkpoint may leave out the first prefix (GPT-2 files come
/// with and without <c>transformer.</c>).
/// </summary>
internal sealed class WeightSource
{
    private readonly ModelFile _model;
    private readonly Lazy<HashSet<string>> _patterns; // tensor names with # for layer numbers

    private readonly GgufRecord? _record;

    /// <summary>The tensors of a model; those of a checkpoint that have a GGUF name are also written into <paramref name="record"/>.</summary>
    public WeightSource(ModelFile model, GgufRecord? record = null) => (_model, _record, _patterns) = (model, record, new(() => [.. model.Tensors.Select(t => Pattern(t.Name))]));

    private WeightSource(WeightSource parent)
        => (_model, _record, _patterns, HuggingFacePrefix, GgufPrefix, Droppable, Biases) = (parent._model, parent._record, parent._patterns, parent.HuggingFacePrefix, parent.GgufPrefix, parent.Droppable, parent.Biases);

    public bool IsGguf => _model is GgufFile;

    private string HuggingFacePrefix { get; init; } = "";

    private string GgufPrefix { get; init; } = "";

    private ImmutableArray<string> Droppable { get; init; } = [];

    private ImmutableArray<BiasRule> Biases { get; init; } = [];

    /// <summary>Names below both prefixes.</summary>
    public WeightSource Scope(string huggingFace, string gguf = "") => new(this) { HuggingFacePrefix = $"{HuggingFacePrefix}{huggingFace}.", GgufPrefix = gguf.Length == 0 ? GgufPrefix : $"{GgufPrefix}{gguf}." };

    /// <summary>A prefix that every Hugging Face name may also lack.</summary>
    public WeightSource OptionalPrefix(string huggingFace) => new(this) { HuggingFacePrefix = $"{HuggingFacePrefix}{huggingFace}.", Droppable = Droppable.Add($"{huggingFace}.") };

    /// <summary>
    /// What the configuration says about the biases of matrices and norms whose Hugging Face name (as it is asked for) begins with one of <paramref name="names"/>, so that a lost or a foreign bias is an error.
    /// Null says nothing. A rule that is added later wins.
    /// </summary>
    public WeightSource WithBiases(bool? expected, string reason, params ReadOnlySpan<string> names)
        => expected is bool there ? new(this) { Biases = [.. names.ToArray().Select(n => new BiasRule(n, there, reason)), .. Biases] } : this;

    /// <summary>Finds a tensor, or null.</summary>
    public Weight? Find(string? huggingFace, string? gguf = null)
    {
        if (FindTensor(huggingFace, gguf) is not { } tensor) return null;
        var weight = new MappedWeight(tensor);
        if (gguf is not null) _record?.Add(GgufPrefix + gguf, weight, tensor.Shape);
        return weight;
    }

    /// <summary>Finds a tensor that all layers have or none; null where none has it.</summary>
    public Weight? InAllLayers(string? huggingFace, string? gguf = null)
        => Find(huggingFace, gguf) ?? (Names(huggingFace, gguf).Any(n => _patterns.Value.Contains(Pattern(n))) ? throw Missing(huggingFace, gguf, ", but another layer has it") : null);

    /// <summary>A tensor that must be there.</summary>
    public Weight Get(string? huggingFace, string? gguf = null) => Find(huggingFace, gguf) ?? throw Missing(huggingFace, gguf);

    /// <summary>A matrix <c>.weight</c> with its <c>.bias</c>: as a rule says, else where there is one, in all layers or in none.</summary>
    public LinearWeights Linear(string huggingFace, string? gguf = null)
    {
        var weight = Get($"{huggingFace}.weight", gguf is null ? null : $"{gguf}.weight");
        return new(weight, Bias(huggingFace, $"{huggingFace}.bias", gguf is null ? null : $"{gguf}.bias"));
    }

    /// <summary>The same for GPT-2's Conv1D, which Hugging Face stores as [in, out].</summary>
    public LinearWeights Conv1D(string huggingFace, string gguf)
    {
        var linear = Linear(huggingFace, gguf);
        if (IsGguf) return linear;
        var transposed = new TransposeWeight(linear.Weight);
        return linear with { Weight = AsStored($"{gguf}.weight", transposed, transposed.Rows, transposed.Width) };
    }

    /// <summary>A weight made of a checkpoint's tensors that GGUF files hold as a tensor of its own, outermost dimension first.</summary>
    public Weight AsStored(string gguf, Weight weight, params ImmutableArray<long> shape)
    {
        _record?.Add(GgufPrefix + gguf, weight, shape);
        return weight;
    }

    /// <summary>Equal tensors that lie apart in checkpoints and as one tensor [count, …] in GGUF files: stacked experts, the gains of heads.</summary>
    public Weight Stack(int count, Func<int, string> huggingFace, string gguf)
    {
        if (IsGguf) return Get(null, gguf);
        var parts = Enumerable.Range(0, count).Select(i => Get(huggingFace(i))).ToArray();
        var whole = new ConcatWeight([.. parts]);
        return AsStored(gguf, whole, parts[0].Rows == 1 ? [count, whole.Width] : [count, parts[0].Rows, whole.Width]);
    }

    /// <summary>Gain and bias of a norm; the gain must be there.</summary>
    public NormWeights Norm(string huggingFace, string? gguf = null)
    {
        var linear = Linear(huggingFace, gguf);
        return new NormWeights(linear.Weight, linear.Bias);
    }

    /// <summary>The head: its own tensor, else the embedding.</summary>
    public Weight Head(string huggingFace, Weight embedding, bool tied)
    {
        if (!IsGguf && tied) return embedding;
        var own = Find(huggingFace, "output.weight");
        return own ?? (IsGguf ? embedding : throw Missing(huggingFace, null));
    }

    /// <summary>Whether a tensor is there.</summary>
    public bool Has(string? huggingFace, string? gguf = null) => FindTensor(huggingFace, gguf) is not null;

    public ModelFileException Missing(string? huggingFace, string? gguf, string reason = "") => new(_model.Path, $"tensor '{Names(huggingFace, gguf).FirstOrDefault() ?? huggingFace ?? gguf}' is missing{reason}");

    private Weight? Bias(string matrix, string name, string? gguf)
    {
        if (Biases.FirstOrDefault(r => matrix.StartsWith(r.Name, StringComparison.Ordinal)) is not { } rule) return InAllLayers(name, gguf);
        var bias = Find(name, gguf);
        if (bias is null && rule.Expected) throw Missing(name, gguf, $" ({rule.Reason} says that it is there)");
        return bias is null || rule.Expected ? bias : throw new ModelFileException(_model.Path, $"tensor '{bias}' is there, but {rule.Reason} says that it is not");
    }

    private MappedTensor? FindTensor(string? huggingFace, string? gguf)
    {
        foreach (string name in Names(huggingFace, gguf))
            if (_model.TryGetTensor(name, out var tensor)) return tensor;
        return null;
    }

    // The full names that a tensor may have, the usual one first.
    private IEnumerable<string> Names(string? huggingFace, string? gguf)
    {
        if (IsGguf)
        {
            if (gguf is not null) yield return GgufPrefix + gguf;
            yield break;
        }
        if (huggingFace is null) yield break;
        string name = HuggingFacePrefix + huggingFace;
        yield return name;
        foreach (string prefix in Droppable)
            if (name.StartsWith(prefix, StringComparison.Ordinal)) yield return name[prefix.Length..];
    }

    private static string Pattern(string name) => string.Join('.', name.Split('.').Select(part => part.Length > 0 && part.All(char.IsAsciiDigit) ? "#" : part));

    private sealed record BiasRule(string Name, bool Expected, string Reason);
}
