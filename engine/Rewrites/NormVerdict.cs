using Tare.Graphs;

namespace Tare.Rewrites;

/// <summary>Whether a model's norms may be rewritten, as the analysis of its graph says.</summary>
/// <param name="LayerNormToRmsNorm">LayerNorm → RMSNorm is exact.</param>
/// <param name="RmsNormToCompressed">… and then → CRMSNorm.</param>
/// <param name="Node">The node that refuses; empty where nothing does or no single node is at fault.</param>
/// <param name="Reason">Why not; empty where both may go.</param>
public sealed record NormVerdict(bool LayerNormToRmsNorm, bool RmsNormToCompressed, string Node, string Reason)
{
    /// <summary>The first lines of a table of verdicts.</summary>
    public const string MarkdownHeader = "| model | LN → RMS | RMS → CRMS | what stands against it |\n|---|---|---|---|\n";

    /// <summary>A line of that table.</summary>
    public string MarkdownRow(string name) => $"| {name} | {(LayerNormToRmsNorm ? "yes" : "no")} | {(RmsNormToCompressed ? "yes" : "no")} | {(Node.Length == 0 ? Reason : $"{Node}: {Reason}")} |\n";

    /// <summary>Tries the passes on the graph. Reads weights only where their form does not tell whether they are centered.</summary>
    public static NormVerdict Of(Graph graph)
    {
        RewriteRefusedException? first = null;
        try
        {
            graph = new LayerNormToRmsNorm().Apply(graph, new RewriteReport());
        }
        catch (RewriteRefusedException refusal)
        {
            first = refusal;
        }
        try
        {
            NormRewrites.Apply(graph, NormTarget.Crms, new RewriteReport(), new NormRewriteOptions { Drop = -1 });
            return new NormVerdict(first is null, true, "", first is null ? "" : "the stream is centered already");
        }
        catch (RewriteRefusedException refusal)
        {
            var reason = first is { Node.Length: > 0 } ? first : refusal;
            return new NormVerdict(first is null, false, reason.Node, reason.Reason);
        }
    }
}
