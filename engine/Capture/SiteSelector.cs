using System.Text.RegularExpressions;
using Tare.Graphs;

namespace Tare.Capture;

/// <summary>
/// Sites by name: patterns separated by commas; <c>*</c> stands for anything within one part of a name, <c>**</c> across parts, <c>{a,b}</c> and <c>{2..5}</c> for alternatives. Names of Transformers modules,
/// of TransformerLens 3 and of llama.cpp's tensors work too (<see cref="SiteAliases"/>). A pattern that ends with <c>@before</c> means the values before edits, one with <c>@after</c> or nothing those after.
/// </summary>
public static partial class SiteSelector
{
    private const int MaximumAlternatives = 4096;
    private const string AfterSuffix = "@after";

    /// <summary>The selected sites in the order of the graph. Throws <see cref="ArgumentException"/> for a pattern that names nothing, with the nearest name.</summary>
    public static IReadOnlyList<Site> Select(SiteMap map, string selector)
    {
        HashSet<string> after = new(StringComparer.Ordinal), before = new(StringComparer.Ordinal);
        foreach (string part in SplitTop(selector))
        {
            bool any = false, isBefore = part.EndsWith(Site.BeforeSuffix, StringComparison.Ordinal);
            var chosen = isBefore ? before : after;
            string pattern = isBefore ? part[..^Site.BeforeSuffix.Length] : part.EndsWith(AfterSuffix, StringComparison.Ordinal) ? part[..^AfterSuffix.Length] : part;
            foreach (string one in Expand(pattern))
            {
                var expression = ToExpression(SiteAliases.Canonical(one, map));
                var found = map.Sites.Where(s => expression.IsMatch(s.Name)).ToList();
                foreach (var site in found) chosen.Add(site.Name);
                any |= found.Count > 0;
                if (found.Count == 0 && !IsKnown(one, map)) throw Unknown(one, map);
            }
            if (!any) throw Unknown(pattern, map);
        }
        if (after.Count + before.Count == 0) throw new ArgumentException("the selector names no site");
        return [.. map.Sites.SelectMany(s => new[] { before.Contains(s.Name) ? s.Before : null, after.Contains(s.Name) ? s : null }).OfType<Site>()];
    }

    // A name that other models have (hook_resid_mid in a parallel model) may be one of several alternatives; a misspelled one may not.
    private static bool IsKnown(string pattern, SiteMap map)
    {
        string last = SiteAliases.Canonical(pattern, map);
        last = Block().Replace(last, "");
        return KnownEndings.Contains(last);
    }

    private static readonly HashSet<string> KnownEndings = [.. new[] { "ln1", "ln2", "ln1_post", "ln2_post" }.SelectMany(n => new[] { "hook_in", "hook_scale", "hook_normalized", "hook_out" }.Select(h => $"{n}.{h}")),
        .. new[] { "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out" }.Select(n => $"hook_{n}"),
        .. new[] { "hook_q", "hook_k", "hook_v", "hook_rot_q", "hook_rot_k", "hook_z", "hook_out", "stat_entropy", "stat_pmax", "stat_sink" }.Select(n => $"attn.{n}"),
        .. new[] { "pre", "pre_linear", "post", "out", "expert_weights" }.Select(n => $"mlp.hook_{n}"), "hook_embed", "hook_pos_embed", "hook_token_type_embed", "ln_final.hook_scale", "ln_final.hook_normalized", "ln_final.hook_out"];

    private static ArgumentException Unknown(string pattern, SiteMap map)
    {
        string canonical = SiteAliases.Canonical(pattern, map);
        if (Block().Replace(canonical, "") is "attn.hook_pattern" or "attn.hook_attn_scores") return new ArgumentException($"'{pattern}' is never stored; its statistics are {canonical[..canonical.LastIndexOf('.')]}.stat_entropy, stat_pmax and stat_sink");
        string nearest = map.Sites.Select(s => s.Name).MinBy(n => Forms(n).Min(f => Distance(canonical.Replace("*", "0", StringComparison.Ordinal), f)))!;
        return new ArgumentException($"'{pattern}' names no site of this model (nearest: {nearest})");
    }

    private static Regex ToExpression(string pattern)
        => new("^" + Regex.Escape(pattern).Replace(@"\*\*", ".*", StringComparison.Ordinal).Replace(@"\*", "[^.]*", StringComparison.Ordinal).Replace(@"\?", "[^.]", StringComparison.Ordinal) + "$", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

    // At commas outside of braces.
    internal static IEnumerable<string> SplitTop(string text)
    {
        int depth = 0, start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] == '{') depth++;
            if (i < text.Length && text[i] == '}') depth--;
            if (depth < 0 || (i == text.Length && depth > 0)) throw new ArgumentException($"'{text}': the braces don't match");
            if (i < text.Length && (text[i] != ',' || depth > 0)) continue;
            string part = text[start..i].Trim();
            start = i + 1;
            if (part.Length > 0) yield return part;
        }
    }

    // {a,b} and {2..5}, nested too.
    private static List<string> Expand(string pattern)
    {
        int open = pattern.IndexOf('{', StringComparison.Ordinal);
        if (open < 0) return [pattern];
        int close = open, depth = 0;
        for (; close < pattern.Length; close++)
        {
            if (pattern[close] == '{') depth++;
            if (pattern[close] == '}' && --depth == 0) break;
        }
        string inner = pattern[(open + 1)..close];
        var range = Range().Match(inner);
        IEnumerable<string> parts = SplitTop(inner);
        if (range.Success)
        {
            int from = int.Parse(range.Groups[1].ValueSpan, System.Globalization.CultureInfo.InvariantCulture), to = int.Parse(range.Groups[2].ValueSpan, System.Globalization.CultureInfo.InvariantCulture);
            if (to < from || to - from >= MaximumAlternatives) throw new ArgumentException($"'{pattern}': {inner} is not an ascending range");
            parts = Enumerable.Range(from, to - from + 1).Select(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        List<string> all = [.. parts.SelectMany(p => Expand(pattern[..open] + p + pattern[(close + 1)..]))];
        return all.Count is > 0 and <= MaximumAlternatives ? all : throw new ArgumentException($"'{pattern}' has {all.Count} alternatives");
    }

    // What people leave away of a name: its block, hook_, the last part.
    private static IEnumerable<string> Forms(string name)
    {
        string ending = Block().Replace(name, "");
        return [name, ending, ending.Replace("hook_", "", StringComparison.Ordinal), name.Contains('.') ? name[..name.LastIndexOf('.')] : name];
    }

    // Levenshtein's edit distance.
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }

    [GeneratedRegex(@"^blocks\.[^.]+\.")]
    private static partial Regex Block();

    [GeneratedRegex(@"^(\d{1,6})\.\.(\d{1,6})$")]
    private static partial Regex Range();
}
