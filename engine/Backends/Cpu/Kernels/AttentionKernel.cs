using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// softmax(scale · q kᵀ …) v over pages, block of keys by block, without a matrix of all scores. Items of work are (sequence, some rows, key head): the queries of an item share its keys.
/// </summary>
/// <remarks>
/// Sequences with so few rows that an item holds all of them (generation) are bound by reading the cache: threads share out their (block of keys, key head) evenly, each a range that lies together, and the blocks' states
/// are merged in a second phase. Sequences with more rows share out items; where those are few, their blocks too. All ways compute the same states and merge them in the same order, so with the same bits.
/// </remarks>
internal sealed unsafe class AttentionKernel<TVariant> : CpuKernel, IDisposable where TVariant : struct, IAttentionVariant
{
    private readonly KernelContext _context;
    private readonly AttentionSpec _spec;
    private readonly AttentionTile<TVariant> _tile;
    private readonly float* _q, _y; // [rows, Heads · KeyWidth], [rows, Heads · ValueWidth]
    private readonly int _layer, _headsPerItem, _rowsPerItem, _headParts;
    private NativeBuffer<float>? _states; // of shared sequences [blocks, items, queries of an item, StateElements] each, then of the others [items, blocks, queries of a tile, StateElements]

    public AttentionKernel(KernelContext context, AttentionSpec spec, Node node, Value value)
    {
        _context = context;
        _spec = spec;
        _q = context.Input(node, 0);
        _y = context.Pointer(value);
        bool cached = node.Inputs.Length == 2;
        _layer = cached ? ((KvAppend)context.Graph.OpOf(node.Inputs[1])).Layer : -1;
        var statistics = TVariant.TakesStatistics ? new AttentionStatistics(spec.Heads, Statistic(Attention.Entropy), Statistic(Attention.Largest), Statistic(Attention.First)) : null;
        _tile = new AttentionTile<TVariant>(spec, spec.Sinks is null ? null : context.Weights.Values(spec.Sinks).Pointer, cached ? null : context.Input(node, 1), cached ? null : context.Input(node, 2), statistics);
        int perKey = spec.Heads / spec.KvHeads;
        _headsPerItem = Math.Min(perKey, AttentionQueries.Most);
        _headParts = (perKey + _headsPerItem - 1) / _headsPerItem;
        _rowsPerItem = AttentionQueries.Most / _headsPerItem;
        context.ReserveScratch(_tile.ScratchBytes);

        float* Statistic(int output) => context.Pointer(new Value(value.Node, output));
    }

    public override int Phases(CpuStep step, int threads)
    {
        var work = WorkOf(step, threads);
        return work.Merge || work.Split ? 2 : 1;
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var work = WorkOf(step, threads);
        if (phase == 0) Reserve(work.SharedStates + (work.Split ? work.Items * work.Blocks * TileStates : 0));
        if (work.Cost > 0 && phase == 0) RunShared(step, work.Cost * thread / threads, work.Cost * (thread + 1) / threads, _context.Scratch(thread));
        if (work.Merge && phase == 1) MergeShared(step, thread, threads);
        if (work.Items > 0 && (work.Split || phase == 0)) RunItems(step, work, phase, thread, threads);
    }

    public void Dispose() => _states?.Dispose();

    private long TileStates => (long)AttentionQueries.Most * _tile.StateElements;

    // Sequences whose rows are all of one item: the blocks and heads from one cost (keys · heads) up to another, page by page over neighboring heads.
    private void RunShared(CpuStep step, long from, long to, byte* scratch)
    {
        var items = stackalloc AttentionQueries[AttentionQueries.Most];
        float* states = _states!.Pointer;
        for (int s = 0; s < step.SequenceCount; s++)
        {
            if (!IsShared(step.Sequences[s])) continue;
            var queries = QueriesOf(step, s, 0);
            int heads = Items(step.Sequences[s]), together = Math.Min(AttentionQueries.Most / queries.Count, heads), filled = -1;
            for (int b = queries.FirstBlock; b <= queries.LastBlock; b++)
            {
                int keys = queries.KeysOf(b), end = Heads(to);
                for (int i = Heads(from); i < end; i += together)
                {
                    if (filled != i)
                        for (int j = 0; j < Math.Min(together, heads - i); j++) items[j] = QueriesOf(step, s, i + j);
                    filled = i;
                    var group = new ReadOnlySpan<AttentionQueries>(items, Math.Min(together, end - i));
                    float* state = states + (long)i * queries.Count * _tile.StateElements;
                    _tile.Block(step, group, b, state, scratch);
                    if (queries.FirstBlock < queries.LastBlock) continue;
                    for (int j = 0; j < group.Length; j++) _tile.Merge(group[j], state + (long)j * queries.Count * _tile.StateElements, 0, scratch);
                }
                from -= (long)keys * heads;
                to -= (long)keys * heads;
                states += (long)heads * queries.Count * _tile.StateElements;

                int Heads(long cost) => (int)Math.Clamp((cost + keys - 1) / keys, 0, heads);
            }
        }
    }

    private void MergeShared(CpuStep step, int thread, int threads)
    {
        float* states = _states!.Pointer;
        for (int s = 0; s < step.SequenceCount; s++)
        {
            if (!IsShared(step.Sequences[s])) continue;
            var queries = QueriesOf(step, s, 0);
            int heads = Items(step.Sequences[s]);
            long size = (long)queries.Count * _tile.StateElements;
            for (int i = heads * thread / threads; i < heads * (thread + 1) / threads && queries.FirstBlock < queries.LastBlock; i++)
                _tile.Merge(QueriesOf(step, s, i), states + i * size, heads * size, _context.Scratch(thread));
            states += (queries.LastBlock - queries.FirstBlock + 1) * heads * size;
        }
    }

    private void RunItems(CpuStep step, in Work work, int phase, int thread, int threads)
    {
        int number = 0;
        for (int s = 0; s < step.SequenceCount; s++)
        {
            if (IsShared(step.Sequences[s])) continue;
            for (int i = 0; i < Items(step.Sequences[s]); i++, number++)
            {
                // Neighboring items differ least in length, so taking turns balances.
                bool own = number % threads == thread;
                if (!own && (!work.Split || phase == 1)) continue;
                var queries = QueriesOf(step, s, i);
                if (!work.Split)
                {
                    _tile.Run(step, queries, _context.Scratch(thread));
                    continue;
                }
                float* states = _states!.Pointer + work.SharedStates + number * work.Blocks * TileStates;
                if (phase == 1) _tile.Merge(queries, states, TileStates, _context.Scratch(thread));
                else
                    for (int b = queries.FirstBlock; b <= queries.LastBlock; b++)
                        if ((number * work.Blocks + b) % threads == thread) _tile.Block(step, new(in queries), b, states + (b - queries.FirstBlock) * TileStates, _context.Scratch(thread));
            }
        }
    }

    private Work WorkOf(CpuStep step, int threads)
    {
        long cost = 0, states = 0;
        int items = 0, blocks = 0;
        bool merge = false;
        for (int s = 0; s < step.SequenceCount; s++)
        {
            ref readonly var sequence = ref step.Sequences[s];
            int count = Items(sequence);
            if (!IsShared(sequence))
            {
                items += count;
                blocks = Math.Max(blocks, (sequence.FirstPosition + sequence.Rows + AttentionQueries.BlockKeys - 1) / AttentionQueries.BlockKeys);
                continue;
            }
            var queries = QueriesOf(step, s, 0);
            for (int b = queries.FirstBlock; b <= queries.LastBlock; b++) cost += (long)queries.KeysOf(b) * count;
            states += (long)(queries.LastBlock - queries.FirstBlock + 1) * count * queries.Count * _tile.StateElements;
            merge |= queries.FirstBlock < queries.LastBlock;
        }
        return new Work(cost, states, merge, items, blocks, threads > 1 && items < 4 * threads && blocks > 1);
    }

    private int Tiles(in SequenceRows sequence) => (sequence.Rows + _rowsPerItem - 1) / _rowsPerItem;

    private bool IsShared(in SequenceRows sequence) => sequence.Rows <= _rowsPerItem;

    private int Items(in SequenceRows sequence) => Tiles(sequence) * _spec.KvHeads * _headParts;

    private AttentionQueries QueriesOf(CpuStep step, int s, int item)
    {
        var sequence = step.Sequences[s];
        // Items of one key head follow one another, so that its keys and values stay in a cache.
        int tiles = Tiles(sequence), first = item % tiles * _rowsPerItem, head = item / tiles, perKey = _spec.Heads / _spec.KvHeads;
        int kvHead = head / _headParts, firstHead = kvHead * perKey + head % _headParts * _headsPerItem;
        int rows = Math.Min(_rowsPerItem, sequence.Rows - first), heads = Math.Min(_headsPerItem, (kvHead + 1) * perKey - firstHead);
        var (group, index) = _layer < 0 ? (0, 0) : step.State!.Layout.Kv.Find(_layer);
        int position = sequence.FirstPosition + first;
        bool cached = _layer >= 0;
        int start = cached ? 0 : sequence.FirstPosition;
        int lowest = Math.Max(start, _spec.Window is int window ? position - window + 1 : 0);
        int highest = _spec.Mask == AttentionMask.Causal ? position + rows - 1 : sequence.FirstPosition + sequence.Rows - 1;
        int width = _spec.Heads * _spec.KeyWidth, outputs = _spec.Heads * _spec.ValueWidth, row = sequence.FirstRow + first;
        return new AttentionQueries(s, group, index, kvHead, firstHead, heads, rows, position, lowest, highest, start, sequence.FirstRow - sequence.FirstPosition,
            _q + (long)row * width + firstHead * _spec.KeyWidth, _y + (long)row * outputs + firstHead * _spec.ValueWidth);
    }

    // All threads come here with the same size; the buffer only grows.
    private void Reserve(long elements)
    {
        if (elements == 0 || _states?.Length >= elements) return;
        lock (_tile)
            if (_states is null || _states.Length < elements)
            {
                var old = _states;
                _states = new NativeBuffer<float>(elements + elements / 2);
                old?.Dispose();
            }
    }

    /// <summary>What a step asks for.</summary>
    /// <param name="Cost">Keys · items of shared sequences.</param>
    /// <param name="SharedStates">Elements of their states.</param>
    /// <param name="Merge">Whether one of them has more than one block.</param>
    /// <param name="Items">Items of the other sequences.</param>
    /// <param name="Blocks">Most blocks of such an item.</param>
    /// <param name="Split">Whether their blocks are shared out.</param>
    private readonly record struct Work(long Cost, long SharedStates, bool Merge, int Items, int Blocks, bool Split);
}
