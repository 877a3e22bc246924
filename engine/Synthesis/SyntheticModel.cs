using System.Collections.Immutable;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Formats.Safetensors;

namespace Tare.Synthesis;

/// <summary>Writes models with random weights, tensor by tensor, so that size costs no memory. The same shape, type and seed give the same file.</summary>
public static class SyntheticModel
{
    private const int UsedExperts = 2;

    /// <summary>Types that matrices can have.</summary>
    public static IReadOnlyList<TensorType> Types => BlockEncoder.Types;

    /// <summary>Writes a GGUF file. Matrices whose rows the type can't divide become F16; norms, biases and routers are F32. Throws <see cref="ArgumentException"/>.</summary>
    public static void Write(string path, SyntheticShape shape, TensorType type, int seed, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        shape.Validate();
        if (!Types.Contains(type)) throw new ArgumentException($"{type} can't be written (can be: {string.Join(", ", Types)})");
        var tensors = SyntheticNorms.Apply(shape, Tensors(shape));
        int done = 0;
        GgufWriter.Write(path, Metadata(shape), [.. tensors.Select(t =>
        {
            var stored = t.Shape.Length == 1 || t.Name.EndsWith("ffn_gate_inp.weight", StringComparison.Ordinal) ? TensorType.F32 : BlockFormats.TryGet(type, out var format) && t.Shape[^1] % format.ValuesPerBlock == 0 ? type : TensorType.F16;
            return new TensorToWrite(t.Name, stored, t.Shape, stream =>
            {
                WriteValues(stream, t, stored, seed, cancel);
                progress?.Report((++done, tensors.Count));
            });
        })]);
    }

    private static void WriteValues(Stream stream, Tensor tensor, TensorType type, int seed, CancellationToken cancel)
    {
        int width = (int)tensor.Shape[^1];
        long rows = tensor.Shape.Aggregate(1L, (a, b) => a * b) / width;
        _ = BlockFormats.TryGet(type, out var format);
        var row = new float[width];
        var bytes = new byte[width / format!.ValuesPerBlock * format.BytesPerBlock];
        ulong state = tensor.Name.Aggregate((ulong)(uint)seed + 0x9E3779B97F4A7C15, (hash, c) => (hash ^ c) * 0x100000001B3);
        for (long r = 0; r < rows; r++)
        {
            cancel.ThrowIfCancellationRequested();
            for (int i = 0; i < width; i++)
            {
                // splitmix64 (Steele et al. 2014); uniform with the wanted deviation.
                ulong z = state += 0x9E3779B97F4A7C15;
                z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
                z = (z ^ z >> 27) * 0x94D049BB133111EB;
                row[i] = tensor.Center + tensor.Deviation * 3.4641016f * ((float)((z ^ z >> 31) >> 40) / (1 << 24) - 0.5f);
            }
            BlockEncoder.Encode(type, row, bytes);
            stream.Write(bytes);
        }
    }

    private static List<(string, GgufValueType, object)> Metadata(SyntheticShape s)
    {
        var metadata = new List<(string, GgufValueType, object)>();
        void Number(string key, int value) => metadata.Add(($"{s.Architecture}.{key}", GgufValueType.UInt32, (uint)value));
        void Real(string key, float value) => metadata.Add(($"{s.Architecture}.{key}", GgufValueType.Float32, value));
        void PerBlock(string key, Func<int, int> of, int otherwise)
        {
            if (s.Architecture == "openelm") metadata.Add(($"openelm.{key}", GgufValueType.Array, new GgufArray(GgufValueType.Int32, Enumerable.Range(0, s.Blocks).Select(of).ToArray())));
            else Number(key, otherwise);
        }
        metadata.Add(("general.architecture", GgufValueType.String, s.Architecture));
        metadata.Add(("general.name", GgufValueType.String, "random weights"));
        Number("block_count", s.Blocks);
        Number("context_length", s.Context);
        Number("embedding_length", s.Width);
        PerBlock("feed_forward_length", s.InnerOf, s.Inner);
        PerBlock("attention.head_count", s.HeadsOf, s.Heads);
        if (s.IsPlain)
        {
            Real("attention.layer_norm_epsilon", 1e-5f);
            if (s.Architecture == "gptneox")
            {
                Number("rope.dimension_count", Math.Max(2, s.HeadWidth / 4 / 2 * 2));
                metadata.Add(("gptneox.use_parallel_residual", GgufValueType.Bool, true));
            }
        }
        else
        {
            PerBlock("attention.head_count_kv", s.KvHeadsOf, s.KvHeads);
            Number("attention.key_length", s.HeadWidth);
            Number("attention.value_length", s.HeadWidth);
            Number("rope.dimension_count", s.HeadWidth);
            Real("rope.freq_base", 500000);
            Real("attention.layer_norm_rms_epsilon", 1e-5f);
            Number("vocab_size", s.Vocabulary);
            if (s.Shared > 0) Number("shared_block_count", s.Shared);
            if (s.Experts > 0)
            {
                Number("expert_count", s.Experts);
                Number("expert_used_count", UsedExperts);
            }
        }
        if (s.Norm is not null) metadata.Add(($"{s.Architecture}.norm", GgufValueType.String, s.Norm));
        AddVocabulary(metadata, s.Vocabulary);
        return metadata;
    }

    // A SentencePiece vocabulary that covers every text: specials, bytes, then words of numbers.
    private static void AddVocabulary(List<(string, GgufValueType, object)> metadata, int count)
    {
        string[] tokens = [.. Enumerable.Range(0, count).Select(i => i switch { 0 => "<unk>", 1 => "<s>", 2 => "</s>", < 259 => $"<0x{i - 3:X2}>", _ => $"▁{i}" })];
        int[] kinds = [.. Enumerable.Range(0, count).Select(i => i switch { 0 => 2, 1 or 2 => 3, < 259 => 6, _ => 1 })];
        metadata.Add(("tokenizer.ggml.model", GgufValueType.String, "llama"));
        metadata.Add(("tokenizer.ggml.tokens", GgufValueType.Array, new GgufArray(GgufValueType.String, tokens)));
        metadata.Add(("tokenizer.ggml.scores", GgufValueType.Array, new GgufArray(GgufValueType.Float32, Enumerable.Range(0, count).Select(i => -(float)i).ToArray())));
        metadata.Add(("tokenizer.ggml.token_type", GgufValueType.Array, new GgufArray(GgufValueType.Int32, kinds)));
        metadata.Add(("tokenizer.ggml.bos_token_id", GgufValueType.UInt32, 1u));
        metadata.Add(("tokenizer.ggml.eos_token_id", GgufValueType.UInt32, 2u));
    }

    private static List<Tensor> Tensors(SyntheticShape s)
    {
        var tensors = new List<Tensor>();
        float residual = 1 / MathF.Sqrt(2 * s.Blocks);
        Matrix("token_embd", s.Vocabulary, s.Width, 1);
        if (s.Architecture == "gpt2") Matrix("position_embd", s.Context, s.Width, 0.1f);
        for (int i = 0; i < s.Blocks; i++)
        {
            Norm($"blk.{i}.attn_norm", s.Width);
            Norm($"blk.{i}.ffn_norm", s.Width);
            if (i < s.OwnBlocks) Block(i);
        }
        Norm("output_norm", s.Width);
        if (!s.Tied) Matrix("output", s.Vocabulary, s.Width, 1);
        return tensors;

        void Block(int i)
        {
            string b = $"blk.{i}.";
            int attention = s.HeadsOf(i) * s.HeadWidth, keys = s.KvHeadsOf(i) * s.HeadWidth, inner = s.InnerOf(i);
            if (s.IsPlain || s.Architecture == "openelm") Matrix(b + "attn_qkv", attention + 2 * keys, s.Width, bias: s.IsPlain);
            else
            {
                Matrix(b + "attn_q", attention, s.Width, bias: s.Architecture == "qwen2");
                Matrix(b + "attn_k", keys, s.Width, bias: s.Architecture == "qwen2");
                Matrix(b + "attn_v", keys, s.Width, bias: s.Architecture == "qwen2");
            }
            if (s.Architecture is "qwen3" or "openelm")
            {
                Norm(b + "attn_q_norm", s.HeadWidth);
                Norm(b + "attn_k_norm", s.HeadWidth);
            }
            Matrix(b + "attn_output", s.Width, attention, residual, bias: s.IsPlain);
            if (s.Experts > 0) Matrix(b + "ffn_gate_inp", s.Experts, s.Width);
            string suffix = s.Experts > 0 ? "_exps" : "";
            if (!s.IsPlain) Matrix($"{b}ffn_gate{suffix}", inner, s.Width, stacked: s.Experts);
            Matrix($"{b}ffn_up{suffix}", inner, s.Width, bias: s.IsPlain, stacked: s.Experts);
            Matrix($"{b}ffn_down{suffix}", s.Width, inner, residual, bias: s.IsPlain, stacked: s.Experts);
        }

        void Matrix(string name, int rows, int width, float gain = 1, bool bias = false, int stacked = 0)
        {
            tensors.Add(new Tensor($"{name}.weight", stacked > 0 ? [stacked, rows, width] : [rows, width], 0, gain / MathF.Sqrt(width)));
            if (bias) tensors.Add(new Tensor($"{name}.bias", [rows], 0, 0.02f));
        }

        void Norm(string name, int width)
        {
            tensors.Add(new Tensor($"{name}.weight", [width], 1, 0.1f));
            if (s.IsPlain) tensors.Add(new Tensor($"{name}.bias", [width], 0, 0.02f));
        }
    }

    internal sealed record Tensor(string Name, ImmutableArray<long> Shape, float Center, float Deviation);
}
