using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Execution;

/// <summary>Runs whole sequences through a graph in one step on any backend, with pages allocated in order: for tests, tools and short texts.</summary>
public static class WholeSequences
{
    /// <summary>One sequence in steps of <paramref name="chunk"/> tokens; outputs of all steps joined. Weights come from <paramref name="shared"/> where it is given; rows are edited where <paramref name="edits"/> say so. A graph without caches (an encoder) runs whole.</summary>
    public static Dictionary<string, T[]> RunChunked<T>(IBackend backend, Graph graph, int[] tokens, int chunk, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default, IWeightStore? shared = null, StepEdits? edits = null) where T : unmanaged
    {
        if (tokens.Length == 0) throw new ArgumentException("there are no tokens");
        var kv = KvLayout.Of(graph);
        chunk = kv.Groups.IsEmpty ? tokens.Length : Math.Min(chunk, tokens.Length);
        using var weights = shared is null ? backend.CreateWeightStore() : null;
        using var program = backend.Compile(graph, shared ?? weights!, new ProgramLimits(chunk, 1, chunk), progress, cancel);
        var layout = StateLayout.ForOneSequence(kv, tokens.Length, chunk);
        using var states = new RunStates(backend, layout, edits);
        var joined = graph.Outputs.ToDictionary(o => o.Name, _ => new List<T>());
        var (table, starts) = layout.TablesOfOneSequence(tokens.Length);
        for (int at = 0; at < tokens.Length; at += chunk)
        {
            cancel.ThrowIfCancellationRequested();
            int count = Math.Min(chunk, tokens.Length - at);
            var step = new Step
            {
                Sequences = new[] { new SequenceRows(0, 0, count, at, Phase.Prompt, tokens.Length) },
                Tokens = tokens.AsSpan(at, count),
                Pages = table,
                PageStarts = starts,
                OutputRows = Enumerable.Range(0, count).ToArray(),
                Slots = states.Slots(tokens.AsSpan(at, count), at, Phase.Prompt, tokens.Length),
            };
            var ticket = program.Enqueue(step, states.All);
            program.Wait(ticket, cancel);
            for (int i = 0; i < graph.Outputs.Length; i++) joined[graph.Outputs[i].Name].AddRange(program.Output<T>(ticket, new OutputId(i)));
            program.Release(ticket);
        }
        return joined.ToDictionary(o => o.Key, o => o.Value.ToArray());
    }

    /// <summary>Outputs by name, row-major [rows, width]; every row is an output row.</summary>
    public static Dictionary<string, T[]> Run<T>(IBackend backend, Graph graph, params int[][] sequences) where T : unmanaged => RunBatches<T>(backend, graph, [sequences]).Single();

    /// <summary>The same for batches of sequences, a step each, through one program; rows are edited where <paramref name="edits"/> say so.</summary>
    public static IEnumerable<Dictionary<string, T[]>> RunBatches<T>(IBackend backend, Graph graph, IReadOnlyList<int[][]> batches, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default, StepEdits? edits = null) where T : unmanaged
    {
        int rows = batches.Max(b => b.Sum(s => s.Length));
        using var weights = backend.CreateWeightStore();
        using var program = backend.Compile(graph, weights, new ProgramLimits(rows, batches.Max(b => b.Length), rows), progress, cancel);
        int pages = batches.Max(b => b.Sum(s => (s.Length + KvLayout.PageTokens - 1) / KvLayout.PageTokens));
        using var states = new RunStates(backend, new StateLayout(program.Signature.Kv, [.. program.Signature.Kv.Groups.Select(_ => pages)]), edits);
        foreach (int[][] batch in batches)
        {
            cancel.ThrowIfCancellationRequested();
            yield return RunStep<T>(program, states, batch);
        }
    }

    private static Dictionary<string, T[]> RunStep<T>(IProgram program, RunStates states, int[][] sequences) where T : unmanaged
    {
        var (kv, graph) = (program.Signature.Kv, program.Signature.Graph);
        var pages = new List<int>();
        var starts = new List<int> { 0 };
        var next = new int[kv.Groups.Length];
        var runs = new List<SequenceRows>();
        int row = 0;
        for (int s = 0; s < sequences.Length; s++)
        {
            runs.Add(new SequenceRows(s, row, sequences[s].Length, 0, Phase.Prompt, sequences[s].Length));
            row += sequences[s].Length;
            for (int g = 0; g < next.Length; g++)
            {
                for (int p = 0; p < (sequences[s].Length + KvLayout.PageTokens - 1) / KvLayout.PageTokens; p++) pages.Add(next[g]++);
                starts.Add(pages.Count);
            }
        }
        var step = new Step
        {
            Sequences = runs.ToArray(),
            Tokens = sequences.SelectMany(s => s).ToArray(),
            Pages = pages.ToArray(),
            PageStarts = starts.ToArray(),
            OutputRows = Enumerable.Range(0, row).ToArray(),
            Slots = sequences.SelectMany(s => states.Slots(s, 0, Phase.Prompt, s.Length)).ToArray(),
        };
        var ticket = program.Enqueue(step, states.All);
        program.Wait(ticket);
        var outputs = graph.Outputs.Select((o, i) => (o.Name, Values: program.Output<T>(ticket, new OutputId(i)).ToArray())).ToDictionary(o => o.Name, o => o.Values);
        program.Release(ticket);
        return outputs;
    }
}
