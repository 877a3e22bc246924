using System.Globalization;
using System.Text.Json;

namespace Tare.Bench.Peers;

/// <summary>Collects what comparisons gave, warns of wrong peers at once, and prints tables or JSON.</summary>
internal sealed class ComparisonReport(ComparisonPlan plan, bool json)
{
    private const double MostIdle = 0.02, MostOther = 0.05;

    private sealed record Part(string Model, IReadOnlyList<Side> Peers, Dictionary<string, Agreement> Agreements, List<ComparisonRow> Rows)
    {
        public double? IdleShare { get; set; }

        public double? OtherProcessors { get; set; }
    }

    private readonly List<Part> _parts = [];

    /// <summary>Whether every peer computed what it should.</summary>
    public bool IsSound { get; private set; } = true;

    /// <summary>A model begins.</summary>
    public void Begin(string model, IReadOnlyList<Side> peers, Dictionary<string, Agreement> agreements)
    {
        _parts.Add(new Part(model, peers, agreements, []));
        foreach (var (name, agreement) in agreements.Where(a => !a.Value.IsRounding))
        {
            IsSound = false;
            Console.Error.WriteLine(Invariant($"WARNING: {Path.GetFileName(model)}: the logits of {name} are WRONG (KL {agreement.MeanKl:g3}, NMSE {agreement.Nmse:g3}, perplexity {agreement.Perplexity:g4}): its speed means nothing"));
        }
    }

    /// <summary>A test's rows.</summary>
    public void Add(IEnumerable<ComparisonRow> rows) => _parts[^1].Rows.AddRange(rows);

    /// <summary>The model's tests are done.</summary>
    public void End(double idleShare, double otherProcessors)
    {
        (_parts[^1].IdleShare, _parts[^1].OtherProcessors) = (idleShare, otherProcessors);
        if (otherProcessors > MostOther) Console.Error.WriteLine(Invariant($"WARNING: {Path.GetFileName(_parts[^1].Model)}: other programs used {otherProcessors:F2} processors meanwhile"));
        if (idleShare > MostIdle) Console.Error.WriteLine(Invariant($"WARNING: {Path.GetFileName(_parts[^1].Model)}: a side used {100 * idleShare:F1}% of a processor while another ran"));
    }

    /// <summary>All of it.</summary>
    public void Print()
    {
        if (json) PrintJson();
        else PrintTables();
    }

    private void PrintTables()
    {
        var about = _parts[0].Peers[0].About;
        Console.Out.WriteLine(Invariant($"llama.cpp {about.GetProperty("release").GetString()} of node-llama-cpp {about.GetProperty("package").GetString()}, called directly with a pool of threads that stays, as llama-bench does; {string.Join("; ", _parts[0].Peers.Select(p => $"{p.Name}: {p.About.GetProperty("cpu_library").GetString()}"))}."));
        Console.Out.WriteLine(Invariant($"{plan.Threads} threads, {plan.Rounds} rounds (A B B A) of {plan.Repetitions} repetitions; ratio = median of the rounds' ratios of time, llama.cpp over Tare [95% interval]; above 1 Tare is faster."));
        Console.Out.WriteLine();
        if (_parts.Any(p => p.Rows.Count > 0))
        {
            Console.Out.WriteLine("| model | test | against | Tare t/s | llama.cpp t/s | ratio |");
            Console.Out.WriteLine("|---|---|---|---:|---:|---|");
            foreach (var part in _parts)
                foreach (var row in part.Rows)
                    Console.Out.WriteLine(Invariant($"| {Path.GetFileNameWithoutExtension(part.Model)} | {row.Test} | {row.Peer}{(part.Agreements[row.Peer].IsRounding ? "" : " (WRONG results)")} | {row.Ours:F1} | {row.Theirs:F1} | {row.Ratio:F2} [{row.Low:F2}, {row.High:F2}] |"));
            Console.Out.WriteLine();
            Console.Out.WriteLine(Invariant($"A waiting side used at most {100 * _parts.Max(p => p.IdleShare ?? 0):F2}% of a processor, other programs used {_parts.Max(p => p.OtherProcessors ?? 0):F2} processors."));
            Console.Out.WriteLine();
        }
        Console.Out.WriteLine("| model | logits of | perplexity | mean KL | worst KL | NMSE | same best token |");
        Console.Out.WriteLine("|---|---|---:|---:|---:|---:|---:|");
        foreach (var part in _parts)
            foreach (var (name, a) in part.Agreements)
                Console.Out.WriteLine(Invariant($"| {Path.GetFileNameWithoutExtension(part.Model)} | {name} | {a.Perplexity:g5} | {a.MeanKl:e1} | {a.WorstKl:e1} | {a.Nmse:e1} | {100 * a.SameBest:F0}% |"));
    }

    private void PrintJson() => Console.Out.WriteLine(JsonSerializer.Serialize(_parts.Select(part => new
    {
        model_filename = part.Model,
        n_threads = plan.Threads,
        rounds = plan.Rounds,
        repetitions = plan.Repetitions,
        peers = part.Peers.Select(p => new { name = p.Name, about = p.About }),
        idle_share = part.IdleShare,
        other_processors = part.OtherProcessors,
        tests = part.Rows.Select(r => new { n_prompt = r.Test.Prompt, n_gen = r.Test.Generate, n_depth = r.Test.Depth, peer = r.Peer, ours_ts = r.Ours, theirs_ts = r.Theirs, ratio = r.Ratio, ratio_low = r.Low, ratio_high = r.High, ours_s = r.OurSeconds, theirs_s = r.TheirSeconds }),
        logits = part.Agreements.Select(a => new { of = a.Key, perplexity = a.Value.Perplexity, mean_kl = a.Value.MeanKl, max_kl = a.Value.WorstKl, nmse = a.Value.Nmse, top_1_agreement = a.Value.SameBest, is_rounding = a.Value.IsRounding }),
    }), new JsonSerializerOptions { WriteIndented = true, NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals }));

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
