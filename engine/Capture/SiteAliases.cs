using System.Text.RegularExpressions;

namespace Tare.Capture;

/// <summary>
/// Other names of sites: modules of Transformers (a module's name means its output, <c>.input</c> its input), <c>hidden_states.i</c>, TransformerLens 3, and llama.cpp's tensors. Layer numbers may be patterns.
/// </summary>
public static partial class SiteAliases
{
    private static readonly Dictionary<string, string> Modules = new(StringComparer.Ordinal)
    {
        [""] = "hook_resid_post",
        [".input"] = "hook_resid_pre",
        [".self_attn"] = "attn.hook_out",
        [".attn"] = "attn.hook_out",
        [".attention"] = "attn.hook_out",
        [".self_attention"] = "attn.hook_out",
        [".mlp"] = "mlp.hook_out",
        [".block_sparse_moe"] = "mlp.hook_out",
        [".ffn"] = "mlp.hook_out",
        [".input_layernorm"] = "ln1.hook_out",
        [".ln_1"] = "ln1.hook_out",
        [".norm_1"] = "ln1.hook_out",
        [".self_attn_layer_norm"] = "ln1.hook_out",
        [".ln_attn"] = "ln1.hook_out",
        [".ln_2"] = "ln2.hook_out",
        [".norm_2"] = "ln2.hook_out",
        [".final_layer_norm"] = "ln2.hook_out",
        [".pre_feedforward_layernorm"] = "ln2.hook_out",
        [".ln_mlp"] = "ln2.hook_out",
        [".post_self_attn_layernorm"] = "ln1_post.hook_out",
        [".post_feedforward_layernorm"] = "ln2_post.hook_out",
        [".post_mlp_layernorm"] = "ln2_post.hook_out",
        [".self_attn.q_proj"] = "attn.hook_q",
        [".self_attn.k_proj"] = "attn.hook_k",
        [".self_attn.v_proj"] = "attn.hook_v",
        [".self_attn.o_proj"] = "attn.hook_out",
        [".self_attn.o_proj.input"] = "attn.hook_z",
        [".mlp.gate_proj"] = "mlp.hook_pre",
        [".mlp.up_proj"] = "mlp.hook_pre_linear",
        [".mlp.down_proj"] = "mlp.hook_out",
        [".mlp.down_proj.input"] = "mlp.hook_post",
    };

    private static readonly Dictionary<string, string> Tensors = new(StringComparer.Ordinal)
    {
        ["attn_norm"] = "ln1.hook_out",
        ["Qcur"] = "attn.hook_q",
        ["Kcur"] = "attn.hook_k",
        ["Vcur"] = "attn.hook_v",
        ["kqv_out"] = "attn.hook_z",
        ["attn_out"] = "attn.hook_out",
        ["ffn_inp"] = "hook_resid_mid",
        ["ffn_norm"] = "ln2.hook_out",
        ["ffn_out"] = "mlp.hook_out",
        ["l_out"] = "hook_resid_post",
        ["attn_post_norm"] = "ln1_post.hook_out",
        ["ffn_post_norm"] = "ln2_post.hook_out",
    };

    private static readonly Dictionary<string, string> Whole = new(StringComparer.Ordinal)
    {
        ["model.embed_tokens"] = SiteNames.Embed,
        ["transformer.wte"] = SiteNames.Embed,
        ["inp_embd"] = SiteNames.Embed,
        ["embed.hook_out"] = SiteNames.Embed,
        ["transformer.wpe"] = SiteNames.PositionEmbed,
        ["pos_embed.hook_out"] = SiteNames.PositionEmbed,
        ["model.norm"] = SiteNames.FinalOut,
        ["transformer.ln_f"] = SiteNames.FinalOut,
        ["gpt_neox.final_layer_norm"] = SiteNames.FinalOut,
        ["result_norm"] = SiteNames.FinalOut,
    };

    /// <summary>The canonical pattern of a name or pattern; what is no alias is given back.</summary>
    public static string Canonical(string name, SiteMap map)
    {
        if (Whole.TryGetValue(name, out string? whole)) return whole;
        if (Hidden().Match(name) is { Success: true } hidden)
        {
            int blocks = map.Sites.Max(s => s.Block) + 1;
            return hidden.Groups[1].Value == blocks.ToString(System.Globalization.CultureInfo.InvariantCulture) ? SiteNames.FinalOut : $"blocks.{hidden.Groups[1].Value}.hook_resid_pre";
        }
        if (Tensor().Match(name) is { Success: true } tensor && Tensors.TryGetValue(tensor.Groups[1].Value, out string? site)) return $"blocks.{tensor.Groups[2].Value}.{site}";
        if (Version3().Match(name) is { Success: true } three)
            return $"blocks.{three.Groups[1].Value}." + three.Groups[2].Value switch { "hook_in" => "hook_resid_pre", "hook_out" => "hook_resid_post", "attn.q.hook_out" => "attn.hook_q", "attn.k.hook_out" => "attn.hook_k", _ => "attn.hook_v" };
        if (Module().Match(name) is not { Success: true } module) return name;
        string layer = $"blocks.{module.Groups[1].Value}.", rest = module.Groups[2].Value;
        // In front of the MLP, or behind attention where there are sandwich norms.
        if (rest == ".post_attention_layernorm") return layer + (map.Sites.Any(s => s.Name.EndsWith(".ln1_post.hook_out", StringComparison.Ordinal)) ? "ln1_post.hook_out" : "ln2.hook_out");
        return Modules.TryGetValue(rest, out string? named) ? layer + named : name;
    }

    [GeneratedRegex(@"^hidden_states\.([^.]+)$")]
    private static partial Regex Hidden();

    [GeneratedRegex(@"^([A-Za-z_]+)-(\d+|\*)$")]
    private static partial Regex Tensor();

    [GeneratedRegex(@"^blocks\.([^.]+)\.(hook_in|hook_out|attn\.[qkv]\.hook_out)$")]
    private static partial Regex Version3();

    [GeneratedRegex(@"^(?:model\.layers|model\.decoder\.layers|transformer\.h|transformer\.blocks|gpt_neox\.layers|bert\.encoder\.layer)\.([^.]+)((?:\..+)?)$")]
    private static partial Regex Module();
}
