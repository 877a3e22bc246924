using Tare.Graphs;

namespace Tare.Capture;

/// <summary>How the value of a site comes about.</summary>
public enum SiteForm
{
    /// <summary>A value of the graph itself.</summary>
    Value,

    /// <summary>The denominator of a norm (one a row and group), ε included.</summary>
    NormScale,

    /// <summary>The output of a norm before gain and bias.</summary>
    Normalized,

    /// <summary>Attention entropy of each head, in nats.</summary>
    AttentionEntropy,

    /// <summary>Largest attention weight of each head.</summary>
    AttentionLargest,

    /// <summary>Attention weight of each head on the key at position 0.</summary>
    AttentionSink,
}

/// <summary>A place of a model that can be captured, under its TransformerLens name.</summary>
/// <param name="Name">For example <c>blocks.3.hook_resid_mid</c>.</param>
/// <param name="Value">The value; for other forms the norm's or attention's output that it belongs to.</param>
/// <param name="Form">How it comes about.</param>
/// <param name="Block">Block, −1 outside of blocks.</param>
/// <param name="Width">Elements a row.</param>
/// <param name="Partner">What the row is compared with: the stream that an addend is added to, the input of a norm. Null = nothing.</param>
public sealed record Site(string Name, Value Value, SiteForm Form, int Block, int Width, Value? Partner = null)
{
    /// <summary>Whether a row is one value a head: statistics of attention's weights, which the attention kernel takes.</summary>
    public bool IsHeads => Form is SiteForm.AttentionEntropy or SiteForm.AttentionLargest or SiteForm.AttentionSink;

    /// <summary>What a name ends with that means the value before the edits of its site. Without it the value is meant that the rest of the model sees, edits included (as a caching hook of TransformerLens sees it).</summary>
    public const string BeforeSuffix = "@before";

    /// <summary>Whether rows of this site may be edited: a value of the graph, not something computed about one.</summary>
    public bool IsEditable => Form == SiteForm.Value;

    /// <summary>Whether the value before edits is meant.</summary>
    public bool IsBefore { get; init; }

    /// <summary>The same site before edits.</summary>
    internal Site Before => IsEditable ? this with { Name = Name + BeforeSuffix, IsBefore = true } : throw new ArgumentException($"{Name} can't be edited, so there is no {BeforeSuffix}");
}
