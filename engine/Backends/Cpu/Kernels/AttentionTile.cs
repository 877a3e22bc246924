using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Caches;
using Tare.Backends.Cpu.Numerics;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Attention of up to 32 queries over one key head, or a few over each of several. Keys are cut at absolute positions divisible by 256; each block gives an online-softmax state (largest score, sum of weights, weighted sum of values), and
/// states merge in ascending order (Dao et al. 2022, arXiv 2205.14135, section 3.1). Masked keys leave by select, so pages may hold anything there.
/// </summary>
/// <remarks>All queries that share a key head go together, so a page's keys and values are read, and widened to F32, once for them; what comes next is asked for meanwhile.</remarks>
internal sealed unsafe class AttentionTile<TVariant>(AttentionSpec spec, float* sinks, float* stepKeys, float* stepValues, AttentionStatistics? statistics) where TVariant : struct, IAttentionVariant
{
    private const int Page = KvLayout.PageTokens, MaxQueries = AttentionQueries.Most, BlockKeys = AttentionQueries.BlockKeys;
    private const int ScoreStride = BlockKeys + 16; // not a power of two, so that rows don't fall on the same lines of a cache
    private const int Sums = 16;                    // of a state: largest score, sum of weights, room for statistics, then the weighted sum of values

    private readonly int _columns = (spec.ValueWidth + Lanes.Count - 1) / Lanes.Count * Lanes.Count;
    private readonly SourceOfPages _source = new(spec, stepKeys, stepValues);

    /// <summary>Elements of the state of a query.</summary>
    public int StateElements => Sums + _columns;

    /// <summary>Scores [32, 272], a running and a block state [32, StateElements] each, keys of two pages [2, KeyWidth, 32] and values of one [32, ValueWidth].</summary>
    public long ScratchBytes => ((long)MaxQueries * ScoreStride + 2L * MaxQueries * StateElements + _source.ScratchElements) * sizeof(float);

    /// <summary>All blocks of an item, one after the other.</summary>
    public void Run(CpuStep step, in AttentionQueries queries, byte* scratch)
    {
        float* total = StateOf(scratch), block = total + (long)MaxQueries * StateElements;
        Start(queries, total);
        for (int b = queries.FirstBlock; b <= queries.LastBlock; b++)
        {
            Block(step, new(in queries), b, block, scratch);
            Merge(queries, block, total);
        }
        Finish(queries, total);
    }

    /// <summary>Merges the states of an item's blocks, [blocks, stateSize], and writes the outputs.</summary>
    public void Merge(in AttentionQueries queries, float* states, long stateSize, byte* scratch)
    {
        float* total = StateOf(scratch);
        Start(queries, total);
        for (int b = queries.FirstBlock; b <= queries.LastBlock; b++) Merge(queries, states + (b - queries.FirstBlock) * stateSize, total);
        Finish(queries, total);
    }

    /// <summary>
    /// The states of one block: for each query its largest score, the sum of its weights (0 = sees no key here), the weighted sum of values [ValueWidth]. The items are the same rows of neighboring key heads, 32 queries together
    /// at most, and go page by page: what they read follows one another in memory.
    /// </summary>
    /// <param name="step">The step.</param>
    /// <param name="items">The items; of several, each has as many queries as the first.</param>
    /// <param name="block">The block.</param>
    /// <param name="states">[items, queries, StateElements].</param>
    /// <param name="scratch">See <see cref="ScratchBytes"/>.</param>
    public void Block(CpuStep step, ReadOnlySpan<AttentionQueries> items, int block, float* states, byte* scratch)
    {
        float* scores = (float*)scratch, pages = StateOf(scratch) + 2L * MaxQueries * StateElements;
        var range = new Range(items[0], block);
        AddKeys(step, items, range, scores, pages);
        for (int i = 0, row = 0; i < items.Length; i++)
            for (int q = 0; q < items[i].Count; q++, row++)
            {
                float* state = states + (long)row * StateElements;
                var (low, high) = Visible(items[i], q, range.First, range.Last);
                Weigh(items[i], q, scores + row * ScoreStride, low, high, block * BlockKeys, state);
                new Span<float>(state + Sums, _columns).Clear();
            }
        AddValues(step, items, range, scores, states + Sums, pages);
    }

    // Scores of all items, two pages at a time. Meanwhile the keys of the next item, or of the first one's next pages, are read; behind the last ones its values.
    private void AddKeys(CpuStep step, ReadOnlySpan<AttentionQueries> items, in Range range, float* scores, float* pages)
    {
        for (int p = range.FirstPage; p <= range.LastPage; p += 2)
            for (int i = 0; i < items.Length; i++)
            {
                bool pair = p < range.LastPage;
                var low = _source.Keys(step, items[i], p, 0, pages);
                var high = pair ? _source.Keys(step, items[i], p + 1, 1, pages) : low;
                var ahead = i + 1 < items.Length ? _source.KeysAhead(step, items[i + 1], p, pair ? p + 1 : p, spec.KeyWidth)
                    : p + 2 <= range.LastPage ? _source.KeysAhead(step, items[0], p + 2, Math.Min(p + 3, range.LastPage), spec.KeyWidth)
                    : _source.ValuesAhead(step, items[0], range.FirstPage, spec.KeyWidth);
                Score(items[i], low, high, pair ? 2 * Page : Page, scores + (long)i * items[0].Count * ScoreStride + p * Page % BlockKeys, ahead);
            }
    }

    // Weighted sums of all items, page by page. Meanwhile the values of the next item or page are read; behind the last ones keys of the next block.
    private void AddValues(CpuStep step, ReadOnlySpan<AttentionQueries> items, in Range range, float* weights, float* sums, float* pages)
    {
        int count = Page * ((_columns + 63) / 64), end = items[0].Highest / Page;
        for (int p = range.FirstPage; p <= range.LastPage; p++)
            for (int i = 0; i < items.Length; i++)
            {
                var values = _source.Values(step, items[i], p, pages);
                var ahead = i + 1 < items.Length ? _source.ValuesAhead(step, items[i + 1], p, count)
                    : p < range.LastPage ? _source.ValuesAhead(step, items[0], p + 1, count)
                    : p < end ? _source.KeysAhead(step, items[0], p + 1, Math.Min(p + 2, end), count) : default;
                long row = (long)i * items[0].Count;
                AddValues(items[i], p, range.First, range.Last, values, weights + row * ScoreStride + p * Page % BlockKeys, sums + row * StateElements, ahead);
            }
    }

    private static float* StateOf(byte* scratch) => (float*)scratch + MaxQueries * ScoreStride;

    // The visible positions of a query within [first, last].
    private (int Low, int High) Visible(in AttentionQueries queries, int q, int first, int last)
    {
        int position = queries.Position + q / queries.Heads;
        int low = Math.Max(first, spec.Window is int window ? position - window + 1 : queries.Start);
        return (low, spec.Mask == AttentionMask.Causal ? Math.Min(last, position) : last);
    }

    // scores[q, 0 … columns) = q · k for the positions of one or two pages.
    private void Score(in AttentionQueries queries, in Panel low, in Panel high, int columns, float* scores, ReadAhead ahead)
    {
        float** x = stackalloc float*[PanelProduct.Rows], y = stackalloc float*[PanelProduct.Rows];
        for (int q = 0; q < queries.Count; q += PanelProduct.Rows)
        {
            int rows = Math.Min(PanelProduct.Rows, queries.Count - q);
            for (int r = 0; r < rows; r++)
            {
                x[r] = queries.Q + (long)((q + r) / queries.Heads) * spec.Heads * spec.KeyWidth + (q + r) % queries.Heads * spec.KeyWidth;
                y[r] = scores + (q + r) * ScoreStride;
                new Span<float>(y[r], columns).Clear();
            }
            PanelProduct.Keys(x, y, rows, low, high, spec.KeyWidth, columns, q == 0 ? ahead : default);
        }
    }

    // sums[q] += Σ_t weights[q][t] · values[t] over the visible positions of a page, ascending. Queries that see the same part of the page go together.
    private void AddValues(in AttentionQueries queries, int page, int first, int last, in Panel values, float* weights, float* sums, ReadAhead ahead)
    {
        float** x = stackalloc float*[PanelProduct.Rows], y = stackalloc float*[PanelProduct.Rows];
        for (int q = 0; q < queries.Count;)
        {
            var seen = Visible(queries, q, Math.Max(first, page * Page), Math.Min(last, page * Page + Page - 1));
            int rows = 1;
            while (rows < Math.Min(PanelProduct.Rows, queries.Count - q) && Visible(queries, q + rows, Math.Max(first, page * Page), Math.Min(last, page * Page + Page - 1)) == seen) rows++;
            int low = seen.Low - page * Page, count = seen.High - seen.Low + 1;
            for (int j = 0; j < _columns && count > 0; j += 64)
            {
                for (int r = 0; r < rows; r++)
                {
                    x[r] = weights + (q + r) * ScoreStride + low;
                    y[r] = sums + (long)(q + r) * StateElements + j;
                }
                PanelProduct.Values(x, y, rows, values, low, j, count, Math.Min(64, _columns - j), q == 0 ? ahead.Skip(j / 64 * Page) : default);
            }
            q += rows;
        }
    }

    // Products [256] of a block become scores (scaled, soft-capped, with ALiBi), then weights e^(s − max) where visible and 0 elsewhere; state[0] = max, state[1] = their sum over 16 lanes by position, then the tree.
    [MethodImpl(AtFirstCall.Compiled)]
    private void Weigh(in AttentionQueries queries, int q, float* scores, int low, int high, int blockStart, float* state)
    {
        if (low > high)
        {
            (state[0], state[1]) = (float.NegativeInfinity, 0);
            return;
        }
        int from = (low - blockStart) / Lanes.Count * Lanes.Count, to = high - blockStart, position = queries.Position + q / queries.Heads;
        Vector512<float> scale = Vector512.Create((float)spec.Scale), none = Vector512.Create(float.NegativeInfinity), largest = none;
        for (int i = from; i <= to; i += Lanes.Count)
        {
            var s = Vector512.Load(scores + i) * scale;
            if (spec.SoftCap is double cap) s = Vector512.Create((float)cap) * Functions.Tanh(s / Vector512.Create((float)cap));
            if (!spec.AlibiSlopes.IsEmpty)
            {
                var distance = Vector512.ConvertToSingle(Vector512.Create(blockStart + i - position) + Vector512<int>.Indices);
                s = Vector512.FusedMultiplyAdd(Vector512.Create((float)spec.AlibiSlopes[queries.FirstHead + q % queries.Heads]), distance, s);
            }
            s.Store(scores + i);
            largest = Vector512.Max(largest, IsWhole(i) ? s : Vector512.ConditionalSelect(Lanes.Mask(low - blockStart - i, high - blockStart - i), s, none));
        }
        float maximum = Lanes.Max(largest);
        Vector512<float> sum = Vector512<float>.Zero, spread = sum;
        for (int i = from; i <= to; i += Lanes.Count)
        {
            var distance = Vector512.Load(scores + i) - Vector512.Create(maximum);
            var weight = Functions.Exp(distance);
            if (!IsWhole(i))
            {
                var seen = Lanes.Mask(low - blockStart - i, high - blockStart - i);
                weight = Vector512.ConditionalSelect(seen, weight, Vector512<float>.Zero);
                if (TVariant.TakesStatistics) distance = Vector512.ConditionalSelect(seen, distance, Vector512<float>.Zero);
            }
            weight.Store(scores + i);
            sum += weight;
            if (TVariant.TakesStatistics) spread = AttentionStatistics.Add(spread, weight, distance);
        }
        (state[0], state[1]) = (maximum, Lanes.Sum(sum));
        if (TVariant.TakesStatistics) AttentionStatistics.Describe(state, spread, low == 0 ? scores[0] : 0);

        bool IsWhole(int i) => blockStart + i >= low && blockStart + i + Lanes.Count - 1 <= high;
    }

    private void Start(in AttentionQueries queries, float* total)
    {
        for (int q = 0; q < queries.Count; q++)
        {
            float* state = total + (long)q * StateElements;
            (state[0], state[1]) = sinks is null ? (float.NegativeInfinity, 0) : (sinks[queries.FirstHead + q % queries.Heads], 1);
            new Span<float>(state + Sums, _columns).Clear();
            if (TVariant.TakesStatistics) AttentionStatistics.Clear(state);
        }
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private void Merge(in AttentionQueries queries, float* block, float* total)
    {
        for (int q = 0; q < queries.Count; q++)
        {
            float* a = total + (long)q * StateElements, b = block + (long)q * StateElements;
            if (b[1] == 0) continue;
            float maximum = MathF.Max(a[0], b[0]);
            float keep = a[1] == 0 ? 0 : Functions.Exp(Vector512.Create(a[0] - maximum))[0], add = Functions.Exp(Vector512.Create(b[0] - maximum))[0];
            if (TVariant.TakesStatistics) AttentionStatistics.Merge(a, b, maximum, keep, add);
            (a[0], a[1]) = (maximum, MathF.FusedMultiplyAdd(b[1], add, a[1] * keep));
            for (int i = Sums; i < StateElements; i += Lanes.Count)
                Vector512.FusedMultiplyAdd(Vector512.Load(b + i), Vector512.Create(add), Vector512.Load(a + i) * Vector512.Create(keep)).Store(a + i);
        }
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private void Finish(in AttentionQueries queries, float* total)
    {
        for (int q = 0; q < queries.Count; q++)
        {
            float* a = total + (long)q * StateElements, y = queries.Y + (long)(q / queries.Heads) * spec.Heads * spec.ValueWidth + q % queries.Heads * spec.ValueWidth;
            for (int i = 0; i < spec.ValueWidth; i += Lanes.Count) Lanes.Store(Vector512.Load(a + Sums + i) / Vector512.Create(a[1]), y + i, spec.ValueWidth - i);
            if (TVariant.TakesStatistics) statistics!.Write(a, queries.Position + queries.RowOffset + q / queries.Heads, queries.FirstHead + q % queries.Heads);
        }
    }

    // The keys of a block that any query sees, and their pages.
    private readonly struct Range(in AttentionQueries queries, int block)
    {
        public readonly int First = Math.Max(block * BlockKeys, queries.Lowest), Last = Math.Min(block * BlockKeys + BlockKeys - 1, queries.Highest);

        public int FirstPage => First / Page;

        public int LastPage => Last / Page;
    }
}
