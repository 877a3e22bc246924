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
    private readonly string _huggingFace, _gguf;
    private readonly string[] _droppable;
    private readonly GgufRecord? _record;

    /// <summary>The tensors of a model; those of a checkpoint that have a GGUF name are also written into <paramref name="record"/>.</summary>
    public WeightSource(ModelFile model, GgufRecord? record = null) : this(model, "", "", [], record) { }

    private WeightSource(ModelFile model, string huggingFace, string gguf, string[] droppable, GgufRecord? record) => (_model, _huggingFace, _gguf, _droppable, _record) = (model, huggingFace, gguf, droppable, record);

    /// <summary>Names below both prefixes.</summary>
    public WeightSource Scope(string huggingFace, string gguf = "") => new(_model, $"{_huggingFace}{huggingFace}.", gguf.Length == 0 ? _gguf : $"{_gguf}{gguf}.", _droppable, _record);

    /// <summary>A prefix that every Hugging Face name may also lack.</summary>
    public WeightSource OptionalPrefix(string huggingFace) => new(_model, $"{_huggingFace}{huggingFace}.", _gguf, [.. _droppable, $"{huggingFace}."], _record);

    /// <summary>Finds a tensor, or null.</summary>
    public Weight? Find(string? huggingFace, string? gguf = null)
    {
        if (FindTensor(huggingFace, gguf) is not { } tensor) return null;
        var weight = new MappedWeight(tensor);
        if (gguf is not null) _record?.Add(_gguf + gguf, weight, tensor.Shape);
        return weight;
    }

    /// <summary>A tensor that must be there.</summary>
    public Weight Get(string? huggingFace, string? gguf = null) => Find(huggingFace, gguf) ?? throw Missing(huggingFace, gguf);

    /// <summary>A matrix <c>.weight</c> with its <c>.bias</c>, if there is one.</summary>
    public LinearWeights Linear(string huggingFace, string? gguf = null) => new(Get($"{huggingFace}.weight", gguf is null ? null : $"{gguf}.weight"), Find($"{huggingFace}.bias", gguf is null ? null : $"{gguf}.bias"));

    /// <summary>The same for GPT-2's Conv1D, which Hugging Face stores as [in, out].</summary>
    public LinearWeights Conv1D(string huggingFace, string gguf)
    {
        var linear = Linear(huggingFace, gguf);
        if (IsGguf) return linear;
        var transposed = new TransposeWeight(linear.Weight);
        _record?.Add($"{_gguf}{gguf}.weight", transposed, [transposed.Rows, transposed.Width]);
        return linear with { Weight = transposed };
    }

    /// <summary>Equal tensors that lie apart in checkpoints and as one tensor [count, …] in GGUF files: stacked experts, the gains of heads.</summary>
    public Weight Stack(int count, Func<int, string> huggingFace, string gguf)
    {
        if (IsGguf) return Get(null, gguf);
        var parts = Enumerable.Range(0, count).Select(i => Get(huggingFace(i))).ToArray();
        var whole = new ConcatWeight([.. parts]);
        _record?.Add(_gguf + gguf, whole, parts[0].Rows == 1 ? [count, whole.Width] : [count, parts[0].Rows, whole.Width]);
        return whole;
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

    public bool IsGguf => _model is GgufFile;

    /// <summary>Whether a tensor is there.</summary>
    public bool Has(string? huggingFace, string? gguf = null) => FindTensor(huggingFace, gguf) is not null;

    public ModelFileException Missing(string? huggingFace, string? gguf) => new(_model.Path, $"tensor '{(IsGguf ? _gguf + gguf : _huggingFace + huggingFace)}' is missing");

    private MappedTensor? FindTensor(string? huggingFace, string? gguf)
    {
        if (IsGguf) return gguf is not null && _model.TryGetTensor(_gguf + gguf, out var named) ? named : null;
        if (huggingFace is null) return null;
        string name = _huggingFace + huggingFace;
        if (_model.TryGetTensor(name, out var tensor)) return tensor;
        foreach (string prefix in _droppable)
            if (name.StartsWith(prefix, StringComparison.Ordinal) && _model.TryGetTensor(name[prefix.Length..], out tensor)) return tensor;
        return null;
    }
}
