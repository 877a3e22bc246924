using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Models;
using Tare.Tests.Support;
using Tare.Tokenizers;

namespace Tare.Tests.Models;

/// <summary>Configurations and tokenizer files with values that nobody expects load or end in one <see cref="ModelFileException"/>, without allocating for sizes that they only claim.</summary>
public sealed class HostileConfigTests : IDisposable
{
    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "1", "2", "3", "-1", "7", "65536", "2147483647", "2147483648", "-2147483648", "9223372036854775807", "1e308", "-1e308", "1e-320", "0.5", "\"\"", "\"silu\"", "\"yarn\"", "\"wonder\"", "[]", "[1]", "[null]",
        "[1,2,3]", "[\"sliding_attention\"]", "{}", "{\"rope_type\":\"yarn\",\"factor\":-1}", "{\"rope_type\":\"longrope\",\"short_factor\":[],\"long_factor\":[0]}", "{\"full_attention\":{\"rope_theta\":0}}",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("tare-hostile-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [ConformanceFact("architectures")]
    public void Any_value_of_a_configuration_is_used_or_refused()
    {
        int refused = 0, used = 0;
        foreach (string source in Directory.GetDirectories(SharedData.Conformance("architectures")!).Order(StringComparer.Ordinal))
            foreach (string config in Directory.GetFiles(source, "config*.json"))
            {
                File.Copy(Path.Combine(source, "model.safetensors"), Path.Combine(_folder, "model.safetensors"), overwrite: true);
                string original = File.ReadAllText(config);
                for (int seed = 0; seed < 45; seed++)
                {
                    var random = new Random(seed + source.Length * 1000);
                    var root = JsonNode.Parse(original)!;
                    for (int i = 0; i <= seed % 2; i++) Change(root, random, n => n is not "architectures");
                    File.WriteAllText(Path.Combine(_folder, "config.json"), root.ToJsonString());
                    long before = GC.GetAllocatedBytesForCurrentThread();
                    var clock = Stopwatch.StartNew();
                    try
                    {
                        using var model = ModelFile.Open(_folder);
                        _ = ContextLength.Choose(model, ArchitectureRegistry.Build(model), null);
                        used++;
                    }
                    catch (ModelFileException e)
                    {
                        e.Message.ShouldContain(_folder);
                        refused++;
                    }
                    catch (Exception e)
                    {
                        throw new InvalidOperationException($"{Path.GetFileName(source)} {root.ToJsonString()}", e);
                    }
                    (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(200_000_000, root.ToJsonString());
                    clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(20), root.ToJsonString());
                }
            }
        refused.ShouldBeGreaterThan(500);
        used.ShouldBeGreaterThan(500);
    }

    [ConformanceFact("tokenizers-hf")]
    public void Any_value_of_a_tokenizer_file_is_used_or_refused()
    {
        int refused = 0, used = 0;
        foreach (string source in Directory.GetFiles(SharedData.Conformance("tokenizers-hf")!, "*.tokenizer.json").Order(StringComparer.Ordinal))
        {
            string original = File.ReadAllText(source), path = Path.Combine(_folder, "tokenizer.json");
            for (int seed = 0; seed < 40; seed++)
            {
                var root = JsonNode.Parse(original)!;
                for (int i = 0; i <= seed % 2; i++) Change(root, new Random(seed * 7 + i), n => n is not "vocab" and not "merges" || seed % 10 == 0);
                File.WriteAllText(path, root.ToJsonString());
                try
                {
                    var tokenizer = Tokenizer.FromJson(path);
                    foreach (string text in new[] { "", "Hello wörld 🦙 \n\n  x", "<s>[CLS]<|endoftext|>" })
                    {
                        int[] ids = tokenizer.Encode(text);
                        _ = tokenizer.Decode(ids);
                    }
                    used++;
                }
                catch (ModelFileException)
                {
                    refused++;
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"{Path.GetFileName(source)}, seed {seed}", e);
                }
            }
        }
        refused.ShouldBeGreaterThan(100);
        used.ShouldBeGreaterThan(100);
    }

    [Fact]
    public void Any_bytes_of_a_tokenizer_in_metadata_are_used_or_refused()
    {
        int refused = 0, used = 0;
        foreach (string kind in new[] { "gpt2", "llama", "bert", "gemma4" })
        {
            string path = Path.Combine(_folder, $"{kind}.gguf");
            string[] tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), "a", "b", "ab", "▁", "▁a", "##b", "[UNK]", "<|eot_id|>"];
            int[] kinds = [2, 3, 3, .. Enumerable.Repeat(6, 256), 1, 1, 1, 1, 1, 1, 3, 4];
            GgufWriter.Write(path, [("tokenizer.ggml.model", GgufValueType.String, kind), ("tokenizer.ggml.pre", GgufValueType.String, "gpt-2"), ("tokenizer.ggml.bos_token_id", GgufValueType.UInt32, 1u), ("tokenizer.ggml.eos_token_id", GgufValueType.UInt32, 2u),
                ("tokenizer.ggml.unknown_token_id", GgufValueType.UInt32, 0u), ("tokenizer.ggml.add_space_prefix", GgufValueType.Bool, true), ("tokenizer.ggml.add_bos_token", GgufValueType.Bool, true),
                ("tokenizer.ggml.token_type", GgufValueType.Array, new GgufArray(GgufValueType.Int32, kinds)), ("tokenizer.ggml.scores", GgufValueType.Array, new GgufArray(GgufValueType.Float32, new float[tokens.Length])),
                ("tokenizer.ggml.merges", GgufValueType.Array, new GgufArray(GgufValueType.String, new[] { "a b", "▁ a" })), ("tokenizer.ggml.tokens", GgufValueType.Array, new GgufArray(GgufValueType.String, tokens))], []);
            byte[] original = File.ReadAllBytes(path);
            for (int seed = 0; seed < 1500; seed++)
            {
                var random = new Random(seed);
                byte[] bytes = [.. original];
                for (int i = 0; i <= seed % 4; i++)
                {
                    int at = random.Next(24, random.Next(2) == 0 ? bytes.Length : 1200);
                    bytes[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(bytes[at] + random.Next(-2, 3));
                }
                try
                {
                    using var file = GgufFile.FromBytes(path, bytes);
                    var tokenizer = Tokenizer.FromGguf(file);
                    int[] ids = tokenizer.Encode("<s>ab a🦙 <|eot_id|>\n");
                    _ = tokenizer.Decode(ids);
                    used++;
                }
                catch (ModelFileException)
                {
                    refused++;
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"{kind}, seed {seed}", e);
                }
            }
        }
        refused.ShouldBeGreaterThan(500);
        used.ShouldBeGreaterThan(500);
    }

    // One property of an object somewhere in the tree, or one item of an array, becomes another value.
    private static void Change(JsonNode root, Random random, Func<string, bool> allowed)
    {
        var places = new List<Action<JsonNode?>>();
        Collect(root);
        if (places.Count > 0) places[random.Next(places.Count)](JsonNode.Parse(Values[random.Next(Values.Length)]));

        void Collect(JsonNode? node)
        {
            if (node is JsonObject properties)
                foreach (var (name, value) in properties.ToList())
                {
                    if (!allowed(name)) continue;
                    places.Add(v => properties[name] = v);
                    Collect(value);
                }
            else if (node is JsonArray items)
                for (int i = 0; i < Math.Min(items.Count, 40); i++)
                {
                    int at = i;
                    places.Add(v => items[at] = v);
                    Collect(items[i]);
                }
        }
    }
}
