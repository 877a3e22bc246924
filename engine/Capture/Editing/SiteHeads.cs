using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Capture.Editing;

/// <summary>How many heads the rows of a site are made of.</summary>
internal static class SiteHeads
{
    /// <summary>The number of heads, or 0 where the site has none. Keys and values have as many as the model stores.</summary>
    public static int Of(Graph graph, Site site)
    {
        if (site.Block < 0 || !site.Name.Contains(".attn.hook_", StringComparison.Ordinal)) return 0;
        foreach (var node in graph.Nodes)
        {
            if (node.Block != site.Block || node.Op is not Attention attention) continue;
            int heads = site.Name.Split('_')[^1] switch
            {
                "q" or "z" => attention.Spec.Heads,
                "k" or "v" => attention.Spec.KvHeads,
                _ => 0,
            };
            return heads > 0 && site.Width % heads == 0 ? heads : 0;
        }
        return 0;
    }
}
