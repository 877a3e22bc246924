using System.Diagnostics;
using Tare.Backends.Cpu;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tokenizers;

namespace Tare.Bench.Peers;

/// <summary>What one test of one model gave against one peer.</summary>
/// <param name="Test">The test.</param>
/// <param name="Peer">The peer's side.</param>
/// <param name="Ours">Median tokens per second of Tare.</param>
/// <param name="Theirs">Median tokens per second of the peer.</param>
/// <param name="Ratio">Median over the rounds of the peer's time over ours; above 1 Tare is faster.</param>
/// <param name="Low">Lower end of the ratio's 95% interval.</param>
/// <param name="High">Upper end.</param>
/// <param name="OurSeconds">Mean seconds of each round.</param>
/// <param name="TheirSeconds">The same of the peer.</param>
internal sealed record ComparisonRow(ThroughputTest Test, string Peer, double Ours, double Theirs, double Ratio, double Low, double High, double[] OurSeconds, double[] TheirSeconds);

/// <summary>How the runs of a comparison are made.</summary>
/// <param name="Threads">Threads of each side.</param>
/// <param name="Rounds">Counted rounds of each test; in each every side runs twice, in the order A B B A.</param>
/// <param name="Repetitions">Repetitions of a run.</param>
internal sealed record ComparisonPlan(int Threads, int Rounds, int Repetitions);

/// <summary>Tare and its peers on one file, each in a process of its own that keeps the model loaded, taking turns within seconds.</summary>
internal sealed class Comparison : IDisposable
{
    private const int CheckedTokens = 48;
    private const string Text = "The old lighthouse keeper climbed the stairs every evening, lit the lamp, and watched the ships pass far out on the dark water until the morning came and the harbor woke again with the voices of the fishermen and their gulls.";

    private readonly Side[] _sides; // Tare first
    private readonly OtherLoad _others;

    /// <summary>Starts nothing: the sides run already. They are disposed with the comparison.</summary>
    public Comparison(string model, Side[] sides)
    {
        (Model, _sides) = (model, sides);
        _others = new OtherLoad(() => sides.Aggregate(Process.GetCurrentProcess().TotalProcessorTime, (sum, side) => sum + side.ProcessorTime));
    }

    /// <summary>Processors that programs which don't belong to the comparison used during the runs.</summary>
    public double OtherProcessors => _others.Processors;

    /// <summary>The file.</summary>
    public string Model { get; }

    /// <summary>Share of a processor that a side used while another ran; the largest of all sides.</summary>
    public double IdleShare => _sides.Max(s => s.Waited == TimeSpan.Zero ? 0 : s.ProcessorTimeWaiting / s.Waited);

    /// <summary>Logits of an English sentence by each peer, and by Tare's fast precision, against Tare's exact ones.</summary>
    public static Dictionary<string, Agreement> Check(string model, IEnumerable<Side> peers, int threads)
    {
        using var file = ModelFile.Open(model);
        var graph = ArchitectureRegistry.Build(file);
        int vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value).Width;
        int[] ids = Sentence(file, vocabulary);
        float[] exact = Logits(graph, ids, threads);
        var agreements = new Dictionary<string, Agreement> { ["Tare, exact"] = Agreement.Of(exact, exact, ids), ["Tare, fast"] = Agreement.Of(exact, Logits(Fast(graph), ids, threads), ids) };
        foreach (var peer in peers) agreements[peer.Name] = Agreement.Of(exact, peer.Logits(ids), ids);
        return agreements;
    }

    /// <summary>Runs a test: a round that does not count, then the others.</summary>
    public List<ComparisonRow> Run(ThroughputTest test, ComparisonPlan plan, Action<int>? progress = null)
    {
        var seconds = new double[_sides.Length, plan.Rounds];
        for (int round = -1; round < plan.Rounds; round++)
        {
            progress?.Invoke(round);
            foreach (int side in (int[])[.. Enumerable.Range(0, _sides.Length), .. Enumerable.Range(0, _sides.Length).Reverse()])
            {
                double time = Turn(side, test, plan.Repetitions);
                if (round >= 0) seconds[side, round] += time / 2;
            }
        }
        double tokens = test.Prompt + test.Generate;
        double[] Of(int side) => [.. Enumerable.Range(0, plan.Rounds).Select(r => seconds[side, r])];
        double Speed(int side) => tokens / PairedTiming.Median(Of(side));
        return [.. Enumerable.Range(1, _sides.Length - 1).Select(peer =>
        {
            double[] ratios = [.. Of(peer).Zip(Of(0), (theirs, ours) => theirs / ours)];
            var (low, high) = PairedTiming.Interval(ratios);
            return new ComparisonRow(test, _sides[peer].Name, Speed(0), Speed(peer), PairedTiming.Median(ratios), low, high, Of(0), Of(peer));
        })];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var side in _sides) side.Dispose();
    }

    // One side's run, and what the others use of the processors meanwhile.
    private double Turn(int side, ThroughputTest test, int repetitions)
    {
        TimeSpan[] before = [.. _sides.Select(s => s.ProcessorTime)];
        _others.Begin();
        var clock = Stopwatch.StartNew();
        double seconds = _sides[side].Run(test, repetitions);
        _others.End(clock.Elapsed);
        for (int other = 0; other < _sides.Length; other++)
            if (other != side) _sides[other].Wait(clock.Elapsed, _sides[other].ProcessorTime - before[other]);
        return seconds;
    }

    // The sentence in the model's ids; for a vocabulary that can't write it, ids all over the vocabulary.
    internal static int[] Sentence(ModelFile file, int vocabulary)
    {
        try
        {
            int[] ids = [.. Tokenizer.Of(file).Encode(Text).Take(CheckedTokens)];
            if (ids.Length > 8 && ids.Max() < vocabulary) return ids;
        }
        catch (ModelFileException)
        {
        }
        return [.. Enumerable.Range(0, CheckedTokens).Select(i => (int)((i + 1) * 7919L % vocabulary))];
    }

    private static Graph Fast(Graph graph) => IntegerActivations.Apply(CacheTypes.Apply(graph, KvType.F16, KvType.F16));

    /// <summary>Tare's logits [tokens, vocabulary].</summary>
    internal static float[] Logits(Graph graph, int[] ids, int threads, StepEdits? edits = null)
    {
        using var backend = new CpuBackend(threads);
        return WholeSequences.RunChunked<float>(backend, graph, ids, ids.Length, edits: edits)[GraphBuilder.LogitsOutput];
    }
}
