using System.Globalization;

namespace Tare.Capture;

/// <summary>Site names as constants and functions, so that a compiler checks them.</summary>
public static class SiteNames
{
    /// <summary>Token embedding, after any scaling or norm of it.</summary>
    public const string Embed = "hook_embed";

    /// <summary>Learned positions.</summary>
    public const string PositionEmbed = "hook_pos_embed";

    /// <summary>Token types.</summary>
    public const string TokenTypeEmbed = "hook_token_type_embed";

    /// <summary>The final norm's output: the last hidden state.</summary>
    public const string FinalOut = "ln_final.hook_out";

    /// <summary>The norm inputs and sublayer outputs of a model: what a statistics run records unless told otherwise.</summary>
    public const string Stream = "blocks.*.hook_{resid_pre,resid_mid,resid_post,attn_out,mlp_out},ln_final.hook_out";

    /// <summary>The attention statistics of all heads.</summary>
    public const string Heads = "blocks.*.attn.stat_{entropy,pmax,sink}";

    /// <summary>The stream where block i begins.</summary>
    public static string ResidPre(int block) => In(block, "hook_resid_pre");

    /// <summary>The stream between the sublayers of block i; parallel blocks have none.</summary>
    public static string ResidMid(int block) => In(block, "hook_resid_mid");

    /// <summary>The stream after the last sum of block i.</summary>
    public static string ResidPost(int block) => In(block, "hook_resid_post");

    /// <summary>What attention adds to the stream.</summary>
    public static string AttentionOut(int block) => In(block, "hook_attn_out");

    /// <summary>What the MLP adds to the stream.</summary>
    public static string MlpOut(int block) => In(block, "hook_mlp_out");

    /// <summary>Attention's result before the output projection: [heads · width].</summary>
    public static string AttentionResult(int block) => In(block, "attn.hook_z");

    /// <summary>Attention entropy of each head, in nats: [heads].</summary>
    public static string AttentionEntropy(int block) => In(block, "attn.stat_entropy");

    /// <summary>Largest attention weight of each head: [heads].</summary>
    public static string AttentionLargest(int block) => In(block, "attn.stat_pmax");

    /// <summary>Attention weight of each head on position 0: [heads].</summary>
    public static string AttentionSink(int block) => In(block, "attn.stat_sink");

    /// <summary>What enters the MLP's last projection.</summary>
    public static string MlpPost(int block) => In(block, "mlp.hook_post");

    internal static string In(int block, string rest) => string.Create(CultureInfo.InvariantCulture, $"blocks.{block}.{rest}");
}
