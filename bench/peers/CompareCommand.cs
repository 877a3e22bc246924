using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tare.Diagnostics;
using Tare.Formats;

namespace Tare.Bench.Peers;

/// <summary><c>compare</c>: Tare against llama.cpp on the same files, in turns, with intervals.</summary>
internal static class CompareCommand
{
    public static Command Create()
    {
        var models = new Option<string[]>("-m", "--model") { Description = "Model files; several: -m A -m B or A,B.", Required = true };
        var tests = new Option<string>("--tests") { Description = "ppN or tgN, @DEPTH for tokens cached before.", DefaultValueFactory = _ => "pp512,tg128,tg128@2048" };
        var threads = new Option<int>("-t", "--threads") { Description = "Threads of each side.", DefaultValueFactory = _ => Environment.ProcessorCount };
        var rounds = new Option<int>("--rounds") { Description = "Counted rounds of each test; in each every side runs twice (A B B A).", DefaultValueFactory = _ => 7 };
        var repetitions = new Option<int>("-r", "--repetitions") { Description = "Repetitions of a run.", DefaultValueFactory = _ => 1 };
        var installed = new Option<string>("--peer") { Description = "The folder in which npm installed node-llama-cpp.", DefaultValueFactory = _ => Path.Combine(RepositoryRoot.Path, "bench", "peers") };
        var tare = new Option<string>("--tare") { Description = "The command that runs Tare.", DefaultValueFactory = _ => Path.Combine(RepositoryRoot.Path, "tare") };
        var without = new Option<string>("--without") { Description = "File names of ggml's CPU libraries that it must not take, separated by commas.", DefaultValueFactory = _ => "" };
        var attention = new Option<FlashAttention[]>("-fa", "--flash-attention") { Description = "llama.cpp's attention: auto, on, off; several make a side each.", DefaultValueFactory = _ => [FlashAttention.Auto], AllowMultipleArgumentsPerToken = true };
        var onlyCheck = new Option<bool>("--only-check") { Description = "Compare logits, measure nothing." };
        var json = new Option<bool>("--json") { Description = "Print JSON instead of tables." };
        var command = new Command("compare", "Tare against llama.cpp on the same files, in turns.") { models, tests, threads, rounds, repetitions, installed, tare, without, attention, onlyCheck, json };
        command.SetAction(arguments =>
        {
            var plan = new ComparisonPlan(arguments.GetValue(threads), Math.Max(1, arguments.GetValue(rounds)), Math.Max(1, arguments.GetValue(repetitions)));
            ThroughputTest[] list = [.. arguments.GetValue(tests)!.Split(',').Select(Parse)];
            var report = new ComparisonReport(plan, arguments.GetValue(json));
            foreach (string model in arguments.GetValue(models)!.SelectMany(m => m.Split(',')))
            {
                var peers = Peers(model, plan.Threads, arguments.GetValue(installed)!, arguments.GetValue(without)!, arguments.GetValue(attention)!);
                try
                {
                    report.Begin(model, peers, Comparison.Check(model, peers, plan.Threads));
                    if (arguments.GetValue(onlyCheck)) continue;
                    string[] ours = [.. arguments.GetValue(tare)!.Split(' '), "bench", "-m", model, "-t", plan.Threads.ToString(CultureInfo.InvariantCulture), "--stdin", "-p", Text(list.Max(t => t.Prompt)), "-n", Text(list.Max(t => t.Generate)), "-d", Text(list.Max(t => t.Depth))];
                    using var comparison = new Comparison(model, [new Side("Tare", ours), .. peers]);
                    foreach (var test in list) report.Add(comparison.Run(test, plan, r => Console.Error.WriteLine($"{Path.GetFileName(model)} {test}: round {r + 1} of {plan.Rounds}")));
                    report.End(comparison.IdleShare, comparison.OtherProcessors);
                }
                finally
                {
                    foreach (var peer in peers) peer.Dispose();
                }
            }
            report.Print();
            return report.IsSound ? 0 : 1;
        });
        return command;
    }

    // The counted side of each kind of attention never uses AMX (its results were wrong on one machine); where ggml would take an AMX library, that one runs beside it.
    internal static List<Side> Peers(string model, int threads, string installed, string without, FlashAttention[] attentions)
    {
        var peers = new List<Side>();
        foreach (var attention in attentions)
        {
            string left = without;
            while (true)
            {
                string label = attentions.Length == 1 ? "" : $", attention {attention.ToString().ToLowerInvariant()}";
                var peer = new Side($"llama.cpp{label}", [Environment.ProcessPath!, .. Self(), "peer", model, Text(threads), installed, attention.ToString(), left]);
                string library = peer.About.GetProperty("cpu_library").GetString()!;
                bool amx = peer.About.GetProperty("system_info").GetString()!.Contains("AMX_INT8 = 1", StringComparison.Ordinal);
                if (amx) peer.Name += ", AMX";
                peers.Add(peer);
                if (!amx) break;
                left += $",{library}";
            }
        }
        return [.. peers.OrderBy(p => p.Name.EndsWith("AMX", StringComparison.Ordinal))];
    }

    private static string[] Self() => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [typeof(CompareCommand).Assembly.Location] : [];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static ThroughputTest Parse(string text)
    {
        var match = Regex.Match(text, @"^(pp|tg)([1-9]\d{0,6})(?:@d?(\d{1,7}))?$", RegexOptions.CultureInvariant);
        if (!match.Success) throw new PeerException($"--tests: '{text}' is neither ppN nor tgN, with @DEPTH or not");
        int tokens = int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture), depth = match.Groups[3].Success ? int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture) : 0;
        return match.Groups[1].Value == "pp" ? new ThroughputTest(tokens, 0, depth) : new ThroughputTest(0, tokens, depth);
    }
}
