using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Tests.Support;
using Tare.Tokenizers;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tests.Tokenizers;

/// <summary>What GGUF metadata and tokenizer files say beside the vocabulary: case, ends of generation, missing rules; and texts made to be slow.</summary>
public sealed class TokenizerOptionTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-tokenizer-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void A_cased_WordPiece_vocabulary_keeps_case_and_accents_and_the_keys_rule()
    {
        string[] tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁hello", "▁Hello", "▁cafe", "▁café", "world", "▁World"];
        (string, GgufValueType, object)[] ids = [("tokenizer.ggml.unknown_token_id", GgufValueType.UInt32, 1u), ("tokenizer.ggml.cls_token_id", GgufValueType.UInt32, 2u), ("tokenizer.ggml.seperator_token_id", GgufValueType.UInt32, 3u)];
        Tokenize("bert", tokens, ids, "Hello café World").ShouldBe([2, 5, 7, 9, 3]);
        Tokenize("bert", tokens, [.. ids, ("tokenizer.ggml.normalizer.lowercase", GgufValueType.Bool, true)], "Hello CAFÉ").ShouldBe([2, 4, 6, 3]);
        Tokenize("bert", tokens, [.. ids, ("tokenizer.ggml.normalizer.lowercase", GgufValueType.Bool, true), ("tokenizer.ggml.normalizer.strip_accents", GgufValueType.Bool, false)], "Hello CAFÉ").ShouldBe([2, 4, 7, 3]);
        string[] uncased = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁hello", "▁cafe", "world"];
        Tokenize("bert", uncased, ids, "HELLOworld Café").ShouldBe([2, 4, 6, 5, 3]);
    }

    [Fact]
    public void Without_ids_of_its_own_WordPiece_begins_with_101_and_ends_with_102()
    {
        string[] tokens = [.. Enumerable.Range(0, 110).Select(i => $"[{i}]"), "▁a"];
        Tokenize("bert", tokens, [], "a b").ShouldBe([101, 110, 100, 102]);
        Tokenize("bert", [.. tokens[..50], "▁a"], [], "a").ShouldBe([50]); // no such tokens
    }

    [Fact]
    public void Every_token_that_ends_turns_ends_a_generation_but_the_end_of_a_message_between_channels()
    {
        string[] tokens = ["a", "b", "<|im_end|>", "<|endoftext|>", "<|end|>", "<|eot_id|>"];
        (string, GgufValueType, object)[] bpe = [("tokenizer.ggml.merges", GgufValueType.Array, new GgufArray(GgufValueType.String, Array.Empty<string>())), ("tokenizer.ggml.eos_token_id", GgufValueType.UInt32, 1u), ("tokenizer.ggml.eot_token_id", GgufValueType.UInt32, 0u)];
        Read("gpt2", tokens, bpe).EndOfGeneration.Order().ShouldBe([0, 1, 2, 3, 4, 5]);
        Read("gpt2", [.. tokens, "<|return|>", "<|call|>"], bpe).EndOfGeneration.Order().ShouldBe([0, 1, 2, 3, 5, 6, 7]);
    }

    [Fact]
    public void Markers_of_Phi_3_take_the_white_space_behind_them()
    {
        string[] tokens = ["<unk>", "<s>", "<|user|>", "<|end|>", "▁", "a", "<0x0A>"];
        (string, GgufValueType, object)[] metadata = [("tokenizer.ggml.scores", GgufValueType.Array, new GgufArray(GgufValueType.Float32, new float[7])), ("tokenizer.ggml.token_type", GgufValueType.Array, new GgufArray(GgufValueType.Int32, new[] { 2, 3, 3, 3, 1, 1, 6 })),
            ("tokenizer.ggml.bos_token_id", GgufValueType.UInt32, 1u)];
        Tokenize("llama", tokens, metadata, "<|user|>\n a<|end|>\n").ShouldBe([1, 2, 4, 6, 4, 5, 3, 4, 6]);
        Tokenize("llama", tokens, [.. metadata, ("general.name", GgufValueType.String, "Phi-3 mini")], "<|user|>\n a<|end|>\n<s> a").ShouldBe([1, 2, 4, 5, 3, 1, 4, 4, 5]);
    }

    [Fact]
    public void A_file_without_a_rule_is_split_by_the_default_one_and_other_models_ignore_rules()
    {
        string[] tokens = ["1", "2", "12", "a", "▁", "<unk>"];
        (string, GgufValueType, object)[] merges = [("tokenizer.ggml.merges", GgufValueType.Array, new GgufArray(GgufValueType.String, new[] { "1 2" }))];
        Tokenize("gpt2", tokens, merges, "1212a").ShouldBe(Tokenize("gpt2", tokens, [.. merges, ("tokenizer.ggml.pre", GgufValueType.String, "default")], "1212a"));
        (string, GgufValueType, object)[] scores = [("tokenizer.ggml.scores", GgufValueType.Array, new GgufArray(GgufValueType.Float32, new float[6])), ("tokenizer.ggml.pre", GgufValueType.String, "wonder")];
        Tokenize("llama", tokens, scores, "a").ShouldBe([4, 3]);
    }

    [Fact]
    public void No_rule_takes_more_than_linear_time_for_long_runs()
    {
        string[] runs = ["{0}x", "{0}中", "{0}1", "x{0}", "{0}\n"], units = [" ", "\n", " \n", "\t ", "a", "A", "1", ".", "中", "é", "'s", "Aa", "\u0301"];
        foreach (string rule in PreTokenizerRules.Names)
        {
            CodePointPattern[] patterns = [.. PreTokenizerRules.Find(rule)!.Select(e => new CodePointPattern(e))];
            foreach (string run in runs)
                foreach (string unit in units)
                {
                    double Seconds(int length)
                    {
                        int[] text = CodePoints.Of(string.Format(System.Globalization.CultureInfo.InvariantCulture, run, string.Concat(Enumerable.Repeat(unit, length / unit.Length))));
                        var clock = System.Diagnostics.Stopwatch.StartNew();
                        List<(int Start, int End)> pieces = [(0, text.Length)], finer = [];
                        foreach (var pattern in patterns)
                        {
                            finer.Clear();
                            foreach (var (start, end) in pieces) pattern.Split(text, start, end, finer);
                            (pieces, finer) = (finer, pieces);
                        }
                        return clock.Elapsed.TotalSeconds;
                    }
                    double small = Seconds(500);
                    // Forty times the length: quadratic work would take 1,600 times as long.
                    double large = Math.Min(Seconds(20_000), Seconds(20_000));
                    (large / Math.Max(small, 5e-4)).ShouldBeLessThan(400, $"{rule}: {run} of '{unit}'");
                }
        }
    }

    [ConformanceTheory("tokenizers-hf")]
    [InlineData(null)]
    [InlineData("llama2")]
    public void Work_per_byte_of_a_tokenizer_json_does_not_grow_from_1_MB_to_10_MB_of_one_word(string? name)
    {
        string path = name is null ? Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free", "tokenizer.json") : Path.Combine(SharedData.Conformance("tokenizers-hf")!, $"{name}.tokenizer.json");
        var tokenizer = Tokenizer.FromJson(path);
        foreach (Func<int, char> letter in new Func<int, char>[] { i => (char)('a' + i * 7 % 11 * i % 26), _ => ' ' })
        {
            double Work(int length)
            {
                long before = tokenizer.Operations;
                tokenizer.Encode(string.Create(length, letter, static (text, f) =>
                {
                    for (int i = 0; i < text.Length; i++) text[i] = f(i);
                }));
                return (double)(tokenizer.Operations - before) / length;
            }
            Work(10 << 20).ShouldBeLessThan(1.1 * Work(1 << 20) + 1e-3);
        }
    }

    private int[] Tokenize(string model, string[] tokens, (string, GgufValueType, object)[] metadata, string text) => Read(model, tokens, metadata).Encode(text);

    private Tokenizer Read(string model, string[] tokens, (string, GgufValueType, object)[] metadata)
    {
        string path = Path.Combine(_folder, $"{Guid.NewGuid():n}.gguf");
        GgufWriter.Write(path, [("tokenizer.ggml.model", GgufValueType.String, model), ("tokenizer.ggml.tokens", GgufValueType.Array, new GgufArray(GgufValueType.String, tokens)), .. metadata], []);
        using var file = (GgufFile)ModelFile.Open(path);
        return Tokenizer.FromGguf(file);
    }
}
