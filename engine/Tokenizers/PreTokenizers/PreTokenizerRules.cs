namespace Tare.Tokenizers.PreTokenizers;

/// <summary>The expressions behind <c>tokenizer.ggml.pre</c>; several are applied one after the other, each on the pieces of the one before.</summary>
internal static class PreTokenizerRules
{
    private const string Contractions = "'s|'t|'re|'ve|'m|'ll|'d";
    private const string Gpt2 = Contractions + @"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", Upper = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Tail = @"\s*[\r\n]+|\s+(?!\S)|\s+";

    // The letters that DeepSeek's first models name one by one: those with case, as Unicode had them then.
    private const string CasedLetters = "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1F7Dᾀ-ᾴᾶ-ᾼ\u1FBEῂ-ῄῆ-ῌῐ-\u1FD3ῖ-\u1FDBῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212A-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄ"
        + "Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";

    private static readonly Dictionary<string, string[]> Rules = Build();

    /// <summary>Known names, sorted.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Rules.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The expressions of a rule, or null.</summary>
    public static string[]? Find(string name) => Rules.GetValueOrDefault(name);

    private static string Llama3(string digits, string letters = @"\p{L}", string exclude = @"\p{L}\p{N}")
        => $@"(?i:{Contractions})|[^\r\n\p{{L}}\p{{N}}]?{(letters.Length > 5 ? $"[{letters}]" : letters)}+|{digits}| ?[^\s{exclude}]+[\r\n]*|{Tail}";

    private static string Cased(string suffix, string digits) => $@"[^\r\n\p{{L}}\p{{N}}]?{Upper}*{Lower}+{suffix}|[^\r\n\p{{L}}\p{{N}}]?{Upper}+{Lower}*{suffix}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{Tail}";

    private static Dictionary<string, string[]> Build()
    {
        var rules = new Dictionary<string, string[]>(StringComparer.Ordinal);
        void Add(string[] expressions, params string[] names)
        {
            foreach (string name in names) rules.Add(name, expressions);
        }
        Add([Gpt2], "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "modern-bert", "gigachat", "mellum", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "granite-docling", "a.x-4.0", "jina-v1-en", "jina-v2-code", "roberta-bpe");
        Add([@"\p{N}", Gpt2], "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2");
        Add([Llama3(@"\p{N}{1,3}")], "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4", "jina-v5-nano");
        Add([Llama3(@"\p{N}")], "qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "kormo", "f2llmv2", "solar-open", "grok-2");
        Add([Llama3(@"\p{N}", @"\p{L}\p{M}", @"\p{L}\p{M}\p{N}")], "qwen35");
        Add([Cased($"(?i:{Contractions})?", @"\p{N}{1,3}")], "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2");
        Add([Cased("", @"\p{N}")], "tekken");
        Add([@"[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", @"[一-龥ࠀ-一가-퟿]+", @"\p{N}"], "deepseek-coder");
        Add([@"[\p{P}$+<=>^~|`]+", Gpt2, "[0-9][0-9][0-9]"], "falcon");
        Add([@"[\p{P}$+<=>^~|]+", Gpt2, @"\p{N}+", "[0-9][0-9][0-9]"], "default");
        Add(["[\r\n]", @"\s?[" + CasedLetters + "]+", @"\s?[!-/:-~！-／：-～‘-‟　-。]+", @"\s+(?![\s\S])", @"[一-龥ࠀ-一가-퟿]+", @"\p{N}+"], "deepseek-llm");
        Add(["[^\n]+|[\n]+"], "gemma4");
        Add([@"\p{N}{1,3}", @"[一-龥぀-ゟ゠-ヿ]+", @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"], "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4");
        return rules;
    }
}
