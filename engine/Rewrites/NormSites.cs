using System.IO.Enumeration;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>A norm of a model.</summary>
/// <param name="Node">Its node.</param>
/// <param name="Name">blocks.3.ln1, blocks.3.qk1, ln_embed, ln_final: whole-row norms of a block are counted from 1, norms of groups (queries, keys) apart.</param>
/// <param name="Alias">The stored name of its gain without ".weight"; empty where it has none.</param>
/// <param name="Spec">Kind, ε, groups.</param>
/// <param name="Width">Width of its rows.</param>
/// <param name="Gain">Smallest and largest gain as it acts; null without one.</param>
/// <param name="Bias">Smallest and largest bias; null without one.</param>
/// <param name="Center">Why its mean can't be taken out of what it reads; empty where it can, null where it subtracts none.</param>
/// <param name="Fold">Why gain and bias can't move into what reads it; empty where they can, null where it has neither.</param>
public sealed record NormSite(int Node, string Name, string Alias, NormSpec Spec, int Width, (double Least, double Largest)? Gain, (double Least, double Largest)? Bias, string? Center, string? Fold);

/// <summary>Lists the norms of a graph.</summary>
public static class NormSites
{
    /// <summary>All norms in order, without those that only a hidden state reads.</summary>
    public static IReadOnlyList<NormSite> Of(Graph graph)
    {
        var uses = new ValueUses(graph);
        var counts = new Dictionary<(int, string), int>();
        var sites = new List<NormSite>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (graph.Nodes[i].Op is not Norm norm || (uses.Of(new Value(i)).Count == 0 && !uses.IsOutput(new Value(i)))) continue;
            int width = graph.TypeOf(new Value(i)).Width;
            sites.Add(new NormSite(i, Name(graph, uses, i, norm, counts), norm.Gain?.StoredTensors().FirstOrDefault()?.Name is string name ? Stem(name) : "", norm.Spec, width,
                norm.Gain is null ? null : Range(NormReaders.EffectiveGain(norm, norm.Gain.Width)!.ToWideVector()), norm.Bias is null ? null : Range(norm.Bias.ToWideVector()), Center(graph, uses, i, norm), Fold(graph, uses, i, norm)));
        }
        return sites;
    }

    /// <summary>The sites whose name or alias a pattern with * and ? matches. Throws <see cref="ArgumentException"/> for a pattern that matches nothing.</summary>
    public static IReadOnlyList<NormSite> Select(IReadOnlyList<NormSite> sites, IReadOnlyList<string> patterns)
    {
        bool Matches(NormSite site, string pattern) => FileSystemName.MatchesSimpleExpression(pattern, site.Name, ignoreCase: false) || (site.Alias.Length > 0 && FileSystemName.MatchesSimpleExpression(pattern, site.Alias, ignoreCase: false));
        foreach (string pattern in patterns)
            if (!sites.Any(s => Matches(s, pattern))) throw new ArgumentException($"no norm is called '{pattern}' (there are: {string.Join(", ", sites.Take(6).Select(s => s.Name))}{(sites.Count > 6 ? ", …" : "")})");
        return [.. sites.Where(s => patterns.Any(p => Matches(s, p)))];
    }

    private static string Name(Graph graph, ValueUses uses, int node, Norm norm, Dictionary<(int, string), int> counts)
    {
        int block = graph.Nodes[node].Block;
        bool ofHeads = norm.Spec.Groups > 1 && !uses.Of(new Value(node)).Any(u => graph.Nodes[u.Node].Op is Linear or RotatePairs); // a row of several groups is read by products
        string kind = ofHeads ? "qk" : "ln";
        if (block >= 0) return $"blocks.{block}.{kind}{counts[(block, kind)] = counts.GetValueOrDefault((block, kind)) + 1}";
        bool before = graph.Nodes.Skip(node).Any(n => n.Block >= 0);
        string name = before ? "ln_embed" : "ln_final";
        int count = counts[(-1, name)] = counts.GetValueOrDefault((-1, name)) + 1;
        return count == 1 ? name : $"{name}.{count}";
    }

    private static string Stem(string name) => name.EndsWith(".weight", StringComparison.Ordinal) ? name[..^".weight".Length] : name;

    private static (double, double) Range(double[] values) => (values.Min(), values.Max());

    private static string? Center(Graph graph, ValueUses uses, int node, Norm norm)
    {
        if (!norm.Spec.SubtractsMean) return null;
        var linked = LinkedValues.From(graph, uses, graph.Nodes[node].Inputs[0], new CenterRule(norm.Spec.Groups));
        return linked.Obstacles is [var first, ..] ? $"{RewriteReport.Label(graph, first.Node)}: {first.Reason}" : "";
    }

    private static string? Fold(Graph graph, ValueUses uses, int node, Norm norm)
    {
        if (norm.Gain is null && norm.Bias is null) return null;
        return NormReaders.Obstacle(graph, uses, node) is { } obstacle ? $"{RewriteReport.Label(graph, obstacle.Node)}: {obstacle.Reason}" : "";
    }
}
