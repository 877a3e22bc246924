using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;

namespace Tare.Tests.Models;

/// <summary>A checkpoint folder written as GGUF with the names that llama.cpp's converter gives, for architectures and options that no GGUF fixture has.</summary>
internal sealed partial class GgufForm(string architecture)
{
    private readonly List<(string, GgufValueType, object)> _metadata = [("general.architecture", GgufValueType.String, architecture), ("tokenizer.ggml.model", GgufValueType.String, "none")];
    private readonly List<TensorToWrite> _tensors = [];

    public GgufForm Int(string key, int value) => Add(key, GgufValueType.UInt32, (uint)value);

    public GgufForm Float(string key, double value) => Add(key, GgufValueType.Float32, (float)value);

    public GgufForm Text(string key, string value) => Add(key, GgufValueType.String, value);

    public GgufForm Ints(string key, params int[] values) => Add(key, GgufValueType.Array, new GgufArray(GgufValueType.Int32, values));

    public GgufForm Flags(string key, params bool[] values) => Add(key, GgufValueType.Array, new GgufArray(GgufValueType.Bool, values));

    /// <summary>The sizes that every decoder has.</summary>
    public GgufForm Sizes(int layers, int width, int heads, int kvHeads, double epsilon)
        => Int("block_count", layers).Int("context_length", 128).Int("embedding_length", width).Int("attention.head_count", heads).Int("attention.head_count_kv", kvHeads).Float("attention.layer_norm_rms_epsilon", epsilon);

    public void Add(string name, long[] shape, float[] values)
        => _tensors.Add(new TensorToWrite(name, TensorType.F32, ImmutableCollectionsMarshal.AsImmutableArray(shape), stream => stream.Write(MemoryMarshal.AsBytes<float>(values))));

    /// <summary>
    /// All tensors of a folder under other names: those outside of layers by the usual table, <c>model.layers.i.X</c> as <c>blk.i.</c> + <paramref name="names"/>[X]. What <paramref name="special"/> returns true for
    /// was added by it. A tensor without a name is an error.
    /// </summary>
    public GgufForm Tensors(ModelFile folder, IReadOnlyDictionary<string, string> names, Func<int, string, MappedTensor, bool>? special = null)
    {
        foreach (var tensor in folder.Tensors)
        {
            string? outside = tensor.Name switch { "model.embed_tokens.weight" => "token_embd.weight", "model.norm.weight" => "output_norm.weight", "lm_head.weight" => "output.weight", _ => null };
            if (outside is not null)
            {
                Add(outside, [.. tensor.Shape], tensor.ToArray());
                continue;
            }
            var match = LayerName().Match(tensor.Name);
            int layer = int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
            string name = match.Groups[2].Value;
            if (special?.Invoke(layer, name, tensor) == true) continue;
            string stem = name[..name.LastIndexOf('.')], suffix = name[name.LastIndexOf('.')..];
            Add($"blk.{layer}.{names[stem]}{suffix}", [.. tensor.Shape], tensor.ToArray());
        }
        return this;
    }

    public void Write(string path) => GgufWriter.Write(path, _metadata, _tensors);

    /// <summary>Rows of each head from (first half, second half) to neighboring pairs.</summary>
    public static float[] Permuted(float[] values, int heads, int width)
    {
        int perHead = values.Length / width / heads;
        var result = new float[values.Length];
        for (int row = 0; row < heads * perHead; row++)
        {
            int within = row % perHead, to = row - within + (within < perHead / 2 ? 2 * within : 2 * (within - perHead / 2) + 1);
            values.AsSpan(row * width, width).CopyTo(result.AsSpan(to * width));
        }
        return result;
    }

    /// <summary>Each of <paramref name="blocks"/> stacked matrices [rows, width] transposed.</summary>
    public static float[] Transposed(float[] values, int blocks, int rows, int width)
    {
        var result = new float[values.Length];
        for (int b = 0; b < blocks; b++)
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < width; c++) result[(b * width + c) * rows + r] = values[(b * rows + r) * width + c];
        return result;
    }

    private GgufForm Add(string key, GgufValueType type, object value)
    {
        _metadata.Add(($"{architecture}.{key}", type, value));
        return this;
    }

    [GeneratedRegex(@"^model\.layers\.(\d+)\.(.+)$")]
    private static partial Regex LayerName();
}
