using System.Text;
using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Serialization;
using Tare.Graphs.Weights;
using Tare.Models;

namespace Tare.Conversion;

/// <summary>A tensor of a written graph.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="From">Type of the stored tensor that it comes from.</param>
/// <param name="To">Its type in the file.</param>
/// <param name="Touched">True where values were computed; false where stored rows were copied.</param>
/// <param name="Expression">How it was computed.</param>
public sealed record GraphTensor(string Name, TensorType From, TensorType To, bool Touched, string Expression);

/// <summary>
/// Writes a graph with its weights as a model file that Tare runs, whatever its architecture was: GGUF from either format, a checkpoint folder from a checkpoint. A graph that is a Llama is written as one, so that other
/// engines run it too. Tokenizer and all other metadata are kept. Rows that a rewrite only moved keep their bytes; computed matrices get the type that arithmetic gives, or the wanted one; vectors are F32.
/// </summary>
public static class GraphFile
{
    private const int RowsAtATime = 64;

    /// <summary>What would become of each tensor.</summary>
    public static IReadOnlyList<GraphTensor> Plan(Graph graph, TensorType? type = null) => [.. Entries(graph, type).Select(e => e.Plan)];

    /// <summary>What would become of each tensor in a file made from <paramref name="source"/>, under the names of its architecture; without <paramref name="path"/> in the format of the source.</summary>
    public static IReadOnlyList<GraphTensor> Plan(ModelFile source, Graph graph, TensorType? type = null, string? path = null)
        => Llama(graph, IsGguf(source, path), out _) is { } llama ? [.. Entries(llama, type, IsGguf(source, path)).Select(e => e.Plan)] : Plan(graph, type);

    /// <summary>Writes the file or folder. Throws <see cref="ModelFileException"/> where a folder is to be made from a GGUF file, and where GGUF can't express a checkpoint's tokenizer.</summary>
    public static void Write(ModelFile source, Graph graph, string path, TensorType? type = null, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        bool toGguf = IsGguf(source, path);
        if (!toGguf && source is not CheckpointFolder) throw new ModelFileException(path, $"a folder needs the files of a checkpoint folder (tokenizer.json, …), and {source.Path} is none; name a .gguf file");
        if (toGguf && source is not (GgufFile or CheckpointFolder)) throw new ModelFileException(path, $"{source.Path} is neither a GGUF file nor a checkpoint folder");
        source.RefuseToOverwrite(path);
        var llama = Llama(graph, toGguf, out _);
        var entries = llama is null ? Entries(graph, type) : Entries(llama, type, toGguf);
        var names = llama is null ? entries.ToDictionary(e => e.Weight, e => e.Plan.Name) : [];
        int done = 0;
        List<TensorToWrite> tensors = [.. entries.Select(e => new TensorToWrite(e.Plan.Name, e.Plan.To, e.Weight.Rows == 1 ? [e.Weight.Width] : [e.Weight.Rows, e.Weight.Width], stream =>
        {
            WriteRows(stream, e.Weight, e.Plan, cancel);
            progress?.Report((++done, entries.Count));
        }))];
        if (toGguf) GgufWriter.Write(path, llama is null ? Metadata(source, graph, names) : Metadata(source, graph, llama), tensors);
        else WriteFolder((CheckpointFolder)source, path, tensors, json => WriteConfig(json, (CheckpointFolder)source, graph, names, llama));
    }

    /// <summary>The architecture that a written graph has: <c>llama</c>, or <c>tare-graph</c>, which Tare alone runs, with the first thing that a Llama has otherwise. Without <paramref name="path"/> in the format of the source.</summary>
    public static (string Name, string? Reason) Architecture(ModelFile source, Graph graph, string? path = null)
        => Llama(graph, IsGguf(source, path), out string? reason) is null ? ("tare-graph", reason) : ("llama", null);

    private static bool IsGguf(ModelFile source, string? path) => path is null ? source is GgufFile : path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase);

    private static LlamaShape? Llama(Graph graph, bool gguf, out string? reason) => LlamaShape.Find(graph, gguf ? RopePairing.Neighbors : RopePairing.Halves, out reason);

    private static List<(Weight Weight, GraphTensor Plan)> Entries(LlamaShape llama, TensorType? type, bool gguf)
        => [.. llama.Weights.Select(w => (w.Weight, Plan(w.Weight, gguf ? w.Gguf : w.HuggingFace, type)))];

    private static GraphTensor Plan(Weight weight, string name, TensorType? type)
    {
        weight.Prepare();
        var stored = weight.StoredTensors().FirstOrDefault();
        bool touched = weight.Rows == 0 || !weight.TryGetStoredRow(0, out _) || (weight.Rows == 1 && weight.Type is TensorType.F16 or TensorType.BF16 && weight is not MappedWeight);
        return new GraphTensor(name, stored?.Type ?? weight.Type, touched ? TypeOf(weight, type) : weight.Type, touched, weight.ToString()!);
    }

    private static List<(Weight Weight, GraphTensor Plan)> Entries(Graph graph, TensorType? type)
    {
        var entries = new List<(Weight, GraphTensor)>();
        var used = new HashSet<string>(StringComparer.Ordinal);
        foreach (var weight in graph.Nodes.SelectMany(n => n.Op.Weights).Distinct())
        {
            string wanted = weight.StoredTensors().FirstOrDefault()?.Name ?? "constant", name = wanted;
            for (int i = 2; !used.Add(name); i++) name = $"{wanted}.{i}";
            entries.Add((weight, Plan(weight, name, type)));
        }
        return entries;
    }

    private static TensorType TypeOf(Weight weight, TensorType? wanted)
    {
        if (weight.Rows == 1) return TensorType.F32;
        var type = wanted ?? (weight.Type == TensorType.F64 ? TensorType.F32 : weight.Type);
        if (!BlockEncoder.Types.Contains(type)) type = TensorType.F16;
        return BlockFormats.TryGet(type, out var format) && weight.Width % format.ValuesPerBlock == 0 ? type : TensorType.F16;
    }

    private static void WriteRows(Stream stream, Weight weight, GraphTensor plan, CancellationToken cancel)
    {
        if (!plan.Touched)
        {
            for (long r = 0; r < weight.Rows; r++)
            {
                cancel.ThrowIfCancellationRequested();
                _ = weight.TryGetStoredRow(r, out var bytes);
                stream.Write(bytes);
            }
            return;
        }
        _ = BlockFormats.TryGet(plan.To, out var format);
        int rowBytes = weight.Width / format!.ValuesPerBlock * format.BytesPerBlock;
        var target = new byte[RowsAtATime * rowBytes];
        for (long first = 0; first < weight.Rows; first += RowsAtATime)
        {
            cancel.ThrowIfCancellationRequested();
            int count = (int)Math.Min(RowsAtATime, weight.Rows - first);
            Parallel.For(0, count, r =>
            {
                var row = new float[weight.Width];
                weight.Read(first + r, 1, row);
                BlockEncoder.Encode(plan.To, row, target.AsSpan(r * rowBytes, rowBytes));
            });
            stream.Write(target, 0, count * rowBytes);
        }
    }

    private static string Json(Graph graph, Dictionary<Weight, string> names)
    {
        var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer)) GraphJson.Write(json, graph, w => names[w]);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static List<(string, GgufValueType, object)> Metadata(ModelFile file, Graph graph, Dictionary<Weight, string> names)
    {
        string? architecture = SourceArchitecture(file);
        var metadata = Metadata(file, graph, "tare-graph", key => !key.StartsWith("tare-graph.", StringComparison.Ordinal) || key == "tare-graph.source_architecture");
        if (ContextLength.Trained(file) is int context) metadata.Add(("tare-graph.context_length", GgufValueType.UInt32, (uint)context));
        if (architecture is not (null or "tare-graph")) metadata.Add(("tare-graph.source_architecture", GgufValueType.String, architecture));
        metadata.Add(("tare-graph.graph", GgufValueType.String, Json(graph, names)));
        return metadata;
    }

    private static List<(string, GgufValueType, object)> Metadata(ModelFile file, Graph graph, LlamaShape llama)
    {
        string prefix = SourceArchitecture(file) + ".";
        var metadata = Metadata(file, graph, "llama", key => !key.StartsWith(prefix, StringComparison.Ordinal));
        void Number(string key, long value) => metadata.Add(($"llama.{key}", GgufValueType.UInt32, (uint)value));
        Number("block_count", llama.Blocks);
        Number("context_length", ContextLength.Trained(file) ?? ContextLength.Default);
        Number("embedding_length", llama.Width);
        Number("feed_forward_length", llama.Inner);
        Number("attention.head_count", llama.Attention.Heads);
        Number("attention.head_count_kv", llama.Attention.KvHeads);
        Number("attention.key_length", llama.Rope.HeadWidth);
        Number("attention.value_length", llama.Rope.HeadWidth);
        Number("rope.dimension_count", llama.Rope.HeadWidth);
        Number("vocab_size", llama.Vocabulary);
        metadata.Add(("llama.rope.freq_base", GgufValueType.Float32, (float)llama.RopeBase));
        metadata.Add(("llama.attention.layer_norm_rms_epsilon", GgufValueType.Float32, (float)llama.Epsilon));
        return metadata;
    }

    // What the file has beside its architecture, or the tokenizer of a checkpoint in GGUF's keys.
    private static List<(string, GgufValueType, object)> Metadata(ModelFile source, Graph graph, string architecture, Func<string, bool> keep)
    {
        var metadata = new List<(string, GgufValueType, object)> { ("general.architecture", GgufValueType.String, architecture) };
        if (source is CheckpointFolder folder)
        {
            long rows = graph.Nodes.Where(n => n.Op is Embed && graph.OpOf(n.Inputs[0]) is Input { Kind: InputKind.Tokens }).Max(n => ((Embed)n.Op).Table.Rows);
            metadata.AddRange(folder.TokenizerPath is null ? [("tokenizer.ggml.model", GgufValueType.String, (object)"none")] : GgufVocabulary.Write(folder, SourceArchitecture(folder) ?? "", (int)Math.Min(int.MaxValue, rows)));
        }
        if (source is not GgufFile file) return metadata;
        foreach (string key in file.Metadata.Keys)
            if (key is not ("general.architecture" or "general.file_type") && !key.StartsWith("split.", StringComparison.Ordinal) && keep(key) && file.Metadata.TryGet(key, out var kind, out object? value)) metadata.Add((key, kind, value!));
        return metadata;
    }

    // GGUF's name of it; null where it has none.
    private static string? SourceArchitecture(ModelFile source)
        => source is GgufFile gguf ? gguf.Metadata.FindString("general.architecture")
            : source is CheckpointFolder { Config: { } config } && config.TryGetProperty("architectures", out var names) && names.ValueKind == JsonValueKind.Array && names.GetArrayLength() > 0 ? ArchitectureRegistry.GgufNameOf(names[0].GetString() ?? "") : null;

    private static void WriteFolder(CheckpointFolder source, string path, List<TensorToWrite> tensors, Action<Utf8JsonWriter> config)
    {
        if (Path.GetFullPath(path) == Path.GetFullPath(source.Folder)) throw new ModelFileException(path, "is the input itself; choose another output");
        Directory.CreateDirectory(path);
        SafetensorsWriter.Write(Path.Combine(path, "model.safetensors"), tensors, new Dictionary<string, string> { ["format"] = "pt" });
        foreach (string name in new[] { "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja" })
            if (File.Exists(Path.Combine(source.Folder, name))) AtomicFile.Write(Path.Combine(path, name), stream => stream.Write(File.ReadAllBytes(Path.Combine(source.Folder, name))));
        AtomicFile.Write(Path.Combine(path, "config.json"), stream =>
        {
            using var json = new Utf8JsonWriter(stream);
            json.WriteStartObject();
            config(json);
            json.WriteEndObject();
        });
    }

    private static void WriteConfig(Utf8JsonWriter json, CheckpointFolder source, Graph graph, Dictionary<Weight, string> names, LlamaShape? llama)
    {
        json.WriteStartArray("architectures");
        json.WriteStringValue(llama is null ? "TareGraph" : "LlamaForCausalLM");
        json.WriteEndArray();
        json.WriteString("model_type", llama is null ? "tare_graph" : "llama");
        if (ContextLength.Trained(source) is int context) json.WriteNumber("max_position_embeddings", context);
        if (llama is null)
        {
            json.WritePropertyName("tare_graph");
            GraphJson.Write(json, graph, w => names[w]);
            return;
        }
        foreach (string key in new[] { "bos_token_id", "eos_token_id", "pad_token_id" })
            if (source.Config is { } config && config.TryGetProperty(key, out var id))
            {
                json.WritePropertyName(key);
                id.WriteTo(json);
            }
        json.WriteNumber("hidden_size", llama.Width);
        json.WriteNumber("intermediate_size", llama.Inner);
        json.WriteNumber("num_hidden_layers", llama.Blocks);
        json.WriteNumber("num_attention_heads", llama.Attention.Heads);
        json.WriteNumber("num_key_value_heads", llama.Attention.KvHeads);
        json.WriteNumber("head_dim", llama.Rope.HeadWidth);
        json.WriteNumber("vocab_size", llama.Vocabulary);
        json.WriteNumber("rms_norm_eps", llama.Epsilon);
        json.WriteNumber("rope_theta", llama.RopeBase);
        json.WriteString("hidden_act", "silu");
        json.WriteBoolean("attention_bias", false);
        json.WriteBoolean("mlp_bias", false);
        json.WriteBoolean("tie_word_embeddings", false);
    }
}
