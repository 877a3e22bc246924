using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// softmax(scale · q kᵀ …) v over pages, block of keys by block, without a matrix of all scores. Items of work are (sequence, some rows, key head): the queries of an item share its keys. With few items
/// (generation) the key blocks are shared out too and merged in a second phase – in the same order, so with the same bits.
/// </summary>
internal sealed unsafe class AttentionKernel<TVariant> : CpuKernel, IDisposable where TVariant : struct, IAttentionVariant
{
    private readonly KernelContext _context;
    private readonly AttentionSpec _spec;
    private readonly AttentionTile<TVariant> _tile;
    private readonly float* _q, _y; // [rows, Heads · KeyWidth], [rows, Heads · ValueWidth]
    private readonly int _layer, _headsPerItem, _rowsPerItem, _headParts;
    private NativeBuffer<float>? _states; // [items, blocks, queries of a tile, StateElements]

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

    public override int Phases(CpuStep step, int threads) => Work(step, threads).Split ? 2 : 1;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (items, blocks, split) = Work(step, threads);
        long stateSize = (long)AttentionQueries.Most * _tile.StateElements;
        if (split && phase == 0) Reserve(items * blocks * stateSize);
        int number = 0;
        for (int s = 0; s < step.SequenceCount; s++)
            for (int i = 0; i < Items(step.Sequences[s]); i++, number++)
            {
                var queries = QueriesOf(step, s, i);
                if (!split)
                {
                    // Neighbouring items differ least in length, so taking turns balances.
                    if (number % threads == thread) _tile.Run(step, queries, _context.Scratch(thread));
                    continue;
                }
                float* states = _states!.Pointer + number * blocks * stateSize;
                if (phase == 0)
                    for (int b = queries.FirstBlock; b <= queries.LastBlock; b++)
                    {
                        if ((number * blocks + b) % threads == thread) _tile.Block(step, queries, b, states + b * stateSize, _context.Scratch(thread));
                    }
                else if (number % threads == thread)
                    _tile.Merge(queries, states, stateSize, _context.Scratch(thread));
            }
    }

    public void Dispose() => _states?.Dispose();

    // Items, most blocks of an item, and whether the blocks of an item are shared out.
    private (int Items, int Blocks, bool Split) Work(CpuStep step, int threads)
    {
        int items = 0, blocks = 0;
        for (int s = 0; s < step.SequenceCount; s++)
        {
            items += Items(step.Sequences[s]);
            blocks = Math.Max(blocks, (step.Sequences[s].FirstPosition + step.Sequences[s].Rows + AttentionQueries.BlockKeys - 1) / AttentionQueries.BlockKeys);
        }
        return (items, blocks, threads > 1 && items < 4 * threads && blocks > 1);
    }

    private int Items(SequenceRows sequence) => (sequence.Rows + _rowsPerItem - 1) / _rowsPerItem * _spec.KvHeads * _headParts;

    private AttentionQueries QueriesOf(CpuStep step, int s, int item)
    {
        var sequence = step.Sequences[s];
        // Items of one key head follow one another, so that its keys and values stay in a cache.
        int tiles = (sequence.Rows + _rowsPerItem - 1) / _rowsPerItem, first = item % tiles * _rowsPerItem, head = item / tiles, perKey = _spec.Heads / _spec.KvHeads;
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

    // Both threads come here with the same size; the buffer only grows.
    private void Reserve(long elements)
    {
        if (_states?.Length >= elements) return;
        lock (_tile)
            if (_states is null || _states.Length < elements)
            {
                var old = _states;
                _states = new NativeBuffer<float>(elements + elements / 2);
                old?.Dispose();
            }
    }
}

/// <summary>The queries of one item: consecutive rows of a sequence, some heads that read one key head.</summary>
/// <param name="Sequence">Index of the sequence.</param>
/// <param name="Group">KV group of the layer.</param>
/// <param name="LayerIndex">The layer's index in the group.</param>
/// <param name="KvHead">The key head.</param>
/// <param name="FirstHead">First query head.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="Rows">Rows; query i is row i / Heads, head i % Heads.</param>
/// <param name="Position">Position of the first row.</param>
/// <param name="Lowest">First key position that any of the queries sees.</param>
/// <param name="Highest">Last key position that any of the queries sees.</param>
/// <param name="Start">First position that exists (later than 0 only without a cache).</param>
/// <param name="RowOffset">Row of a position, less the position: for keys that come from the step.</param>
/// <param name="QAddress">First query [KeyWidth]; heads follow one another.</param>
/// <param name="YAddress">First output [ValueWidth].</param>
internal readonly unsafe record struct AttentionQueries(int Sequence, int Group, int LayerIndex, int KvHead, int FirstHead, int Heads, int Rows, int Position, int Lowest, int Highest, int Start, int RowOffset, nint QAddress, nint YAddress)
{
    /// <summary>Queries of an item at most.</summary>
    public const int Most = 32;

    /// <summary>Keys of a block.</summary>
    public const int BlockKeys = 256;

    public AttentionQueries(int sequence, int group, int layerIndex, int kvHead, int firstHead, int heads, int rows, int position, int lowest, int highest, int start, int rowOffset, float* q, float* y)
        : this(sequence, group, layerIndex, kvHead, firstHead, heads, rows, position, lowest, highest, start, rowOffset, (nint)q, (nint)y) { }

    public float* Q => (float*)QAddress;

    public float* Y => (float*)YAddress;

    public int Count => Rows * Heads;

    public int FirstBlock => Lowest / BlockKeys;

    public int LastBlock => Highest / BlockKeys;
}
