using Tare.Execution;
using Tare.Graphs;

namespace Tare.Tests.Backends;

/// <summary>Feeds sequences to programs step by step, with its own page tables: what an engine loop does, as plainly as can be.</summary>
internal sealed class SequenceRunner(IBackend backend, KvLayout kv, int pagesPerGroup = 16, int pageSeed = 0) : IDisposable
{
    private readonly List<int>[] _free = [.. kv.Groups.Select((_, g) => Shuffled(pagesPerGroup, pageSeed + g))];
    private readonly Dictionary<int, List<int>[]> _tables = [];

    public IState State { get; } = backend.CreateState(new StateLayout(kv, [.. kv.Groups.Select(_ => pagesPerGroup)]));

    /// <summary>One step; each part is (slot, tokens, first position). Returns output values of the named output for all rows.</summary>
    public T[] Step<T>(IProgram program, string output, (int Slot, int[] Tokens, int Position)[] parts, int[]? adapters = null, float[]? residual = null, Phase phase = Phase.Prompt) where T : unmanaged
    {
        var sequences = new List<SequenceRows>();
        var pages = new List<int>();
        var starts = new List<int> { 0 };
        int row = 0;
        foreach (var (slot, tokens, position) in parts)
        {
            sequences.Add(new SequenceRows(slot, row, tokens.Length, position, phase, position + tokens.Length));
            row += tokens.Length;
            if (!_tables.TryGetValue(slot, out var tables)) _tables.Add(slot, tables = [.. kv.Groups.Select(_ => new List<int>())]);
            for (int g = 0; g < tables.Length; g++)
            {
                while (tables[g].Count * KvLayout.PageTokens < position + tokens.Length)
                {
                    tables[g].Add(_free[g][^1]);
                    _free[g].RemoveAt(_free[g].Count - 1);
                }
                pages.AddRange(tables[g]);
                starts.Add(pages.Count);
            }
        }
        var step = new Step
        {
            Sequences = sequences.ToArray(),
            Tokens = residual is null || program.Signature.Graph.Nodes.Any(n => n.Op is Tare.Graphs.Ops.Input { Kind: Tare.Graphs.Ops.InputKind.Tokens }) ? parts.SelectMany(p => p.Tokens).ToArray() : [],
            Residual = residual ?? [],
            Pages = kv.Groups.IsEmpty ? [] : pages.ToArray(),
            PageStarts = kv.Groups.IsEmpty ? [] : starts.ToArray(),
            OutputRows = Enumerable.Range(0, row).ToArray(),
            Slots = adapters is null ? [] : adapters.Select(a => new RowSlots(a)).ToArray(),
        };
        var ticket = program.Enqueue(step, kv.Groups.IsEmpty ? [] : [State]);
        program.Wait(ticket);
        T[] values = program.Output<T>(ticket, program.Signature.Output(output)).ToArray();
        program.Release(ticket);
        return values;
    }

    public void Dispose() => State.Dispose();

    private static List<int> Shuffled(int count, int seed)
    {
        int[] pages = [.. Enumerable.Range(0, count)];
        new Random(seed).Shuffle(pages);
        return [.. pages];
    }
}
