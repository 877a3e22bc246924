using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Attention of up to 32 queries over one key head. Keys are cut at absolute positions divisible by 256; each block gives an online-softmax state (largest score, sum of weights, weighted sum of values), and
/// states merge in ascending order (Dao et al. 2022, arXiv 2205.14135, section 3.1). Masked keys leave by select, so pages may hold anything there.
/// </summary>
internal sealed unsafe class AttentionTile(AttentionSpec spec, float* sinks, float* stepKeys, float* stepValues)
{
    /// <summary>Queries of a tile.</summary>
    public const int MaxQueries = 32;

    /// <summary>Keys of a block.</summary>
    public const int BlockKeys = 256;

    private const int Page = KvLayout.PageTokens;

    /// <summary>Scores [32, 256], a running and a block state [32, ValueWidth + 2] each, keys [KeyWidth, 32] and values [32, ValueWidth] of a page.</summary>
    public long ScratchBytes => ((long)MaxQueries * BlockKeys + 2L * MaxQueries * (spec.ValueWidth + 2) + (long)Page * spec.KeyWidth + (long)Page * spec.ValueWidth + 64) * sizeof(float);

    /// <summary>All blocks of an item, one after the other.</summary>
    public void Run(CpuStep step, in AttentionQueries queries, byte* scratch)
    {
        float* total = StateOf(scratch), block = total + (long)MaxQueries * (spec.ValueWidth + 2);
        Start(queries, total);
        for (int b = queries.FirstBlock; b <= queries.LastBlock; b++)
        {
            Block(step, queries, b, block, scratch);
            Merge(queries, block, total);
        }
        Finish(queries, total);
    }

    /// <summary>Merges the states of an item's blocks, [blocks, stateSize], and writes the outputs.</summary>
    public void Merge(in AttentionQueries queries, float* states, long stateSize, byte* scratch)
    {
        float* total = StateOf(scratch);
        Start(queries, total);
        for (int b = queries.FirstBlock; b <= queries.LastBlock; b++) Merge(queries, states + b * stateSize, total);
        Finish(queries, total);
    }

    /// <summary>The state of one block: for each query its largest score, the sum of its weights (0 = sees no key here), the weighted sum of values [ValueWidth].</summary>
    public void Block(CpuStep step, in AttentionQueries queries, int block, float* state, byte* scratch)
    {
        float* scores = (float*)scratch, keyScratch = StateOf(scratch) + 2L * MaxQueries * (spec.ValueWidth + 2), valueScratch = keyScratch + (long)Page * spec.KeyWidth;
        int first = Math.Max(block * BlockKeys, queries.Lowest), last = Math.Min(block * BlockKeys + BlockKeys - 1, queries.Highest);
        int firstPage = first / Page, lastPage = last / Page, stride = spec.ValueWidth + 2;
        for (int p = firstPage; p <= lastPage; p++)
        {
            float* keys = Keys(step, queries, p, keyScratch);
            float* target = scores + p * Page % BlockKeys;
            for (int q = 0; q < queries.Count;)
            {
                int group = queries.Count - q >= 4 ? 4 : 1;
                if (group == 4) ScoreFour(queries, q, keys, target);
                else ScoreOne(queries, q, keys, target);
                q += group;
            }
            for (int q = 0; q < queries.Count; q++) Adjust(queries, q, p * Page, target + q * BlockKeys);
        }
        for (int q = 0; q < queries.Count; q++)
        {
            var (low, high) = Visible(queries, q, first, last);
            Weigh(scores + q * BlockKeys, low, high, block * BlockKeys, state + (long)q * stride);
            new Span<float>(state + (long)q * stride + 2, spec.ValueWidth).Clear();
        }
        for (int p = firstPage; p <= lastPage; p++)
        {
            var (values, valueStride) = Values(step, queries, p, valueScratch);
            float* weights = scores + p * Page % BlockKeys;
            for (int q = 0; q < queries.Count;)
            {
                // Queries that see the whole page go four at a time; the others alone. Each adds its positions in order either way.
                int group = queries.Count - q >= 4 && SeesAll(queries, q, p, first, last) && SeesAll(queries, q + 1, p, first, last) && SeesAll(queries, q + 2, p, first, last) && SeesAll(queries, q + 3, p, first, last) ? 4 : 1;
                if (group == 4) AddFour(weights + q * BlockKeys, values, valueStride, state + (long)q * stride + 2, stride);
                else
                {
                    var (low, high) = Visible(queries, q, Math.Max(first, p * Page), Math.Min(last, p * Page + Page - 1));
                    if (low <= high) AddOne(weights + q * BlockKeys, values, valueStride, low - p * Page, high - p * Page, state + (long)q * stride + 2);
                }
                q += group;
            }
        }
    }

    private static float* StateOf(byte* scratch) => (float*)scratch + MaxQueries * BlockKeys;

    // The visible positions of a query within [first, last].
    private (int Low, int High) Visible(in AttentionQueries queries, int q, int first, int last)
    {
        int position = queries.Position + q / queries.Heads;
        int low = Math.Max(first, spec.Window is int window ? position - window + 1 : queries.Start);
        return (low, spec.Mask == AttentionMask.Causal ? Math.Min(last, position) : last);
    }

    private bool SeesAll(in AttentionQueries queries, int q, int page, int first, int last)
    {
        var (low, high) = Visible(queries, q, first, last);
        return low <= page * Page && high >= page * Page + Page - 1;
    }

    // [KeyWidth, 32] of a page; keys that come from the step are transposed into scratch.
    private float* Keys(CpuStep step, in AttentionQueries queries, int page, float* scratch)
    {
        if (stepKeys is null) return step.State!.Keys(queries.Group, step.Page(queries.Sequence, queries.Group, page), queries.LayerIndex) + (long)queries.KvHead * spec.KeyWidth * Page;
        int width = spec.KvHeads * spec.KeyWidth;
        for (int t = 0; t < Page; t++)
        {
            int position = page * Page + t;
            bool exists = position >= queries.Start && position <= queries.Highest;
            float* key = stepKeys + (long)(position + queries.RowOffset) * width + queries.KvHead * spec.KeyWidth;
            for (int i = 0; i < spec.KeyWidth; i++) scratch[i * Page + t] = exists ? key[i] : 0;
        }
        return scratch;
    }

    // Values of a page: row t of the result is position 32 · page + t.
    private (nint Values, int Stride) Values(CpuStep step, in AttentionQueries queries, int page, float* valueScratch)
    {
        int width = spec.KvHeads * spec.ValueWidth;
        if (stepValues is not null) return ((nint)(stepValues + ((long)page * Page + queries.RowOffset) * width + queries.KvHead * spec.ValueWidth), width);
        float* keys = step.State!.Keys(queries.Group, step.Page(queries.Sequence, queries.Group, page), queries.LayerIndex);
        if (!spec.ValueFromKey) return ((nint)(keys + (long)Page * spec.KvHeads * spec.KeyWidth + queries.KvHead * spec.ValueWidth), width);
        keys += (long)queries.KvHead * spec.KeyWidth * Page;
        for (int i = 0; i < spec.ValueWidth; i++)
            for (int t = 0; t < Page; t++) valueScratch[t * spec.ValueWidth + i] = keys[i * Page + t];
        return ((nint)valueScratch, spec.ValueWidth);
    }

    private float* Query(in AttentionQueries queries, int q) => queries.Q + (long)(q / queries.Heads) * spec.Heads * spec.KeyWidth + q % queries.Heads * spec.KeyWidth;

    // q · k for the 32 positions of a page; lanes are positions, k ascends.
    private void ScoreOne(in AttentionQueries queries, int q, float* keys, float* scores)
    {
        float* x = Query(queries, q);
        Vector512<float> a = default, b = default;
        for (int i = 0; i < spec.KeyWidth; i++)
        {
            var v = Vector512.Create(x[i]);
            a = Vector512.FusedMultiplyAdd(v, Vector512.Load(keys + i * Page), a);
            b = Vector512.FusedMultiplyAdd(v, Vector512.Load(keys + i * Page + 16), b);
        }
        a.Store(scores + q * BlockKeys);
        b.Store(scores + q * BlockKeys + 16);
    }

    private void ScoreFour(in AttentionQueries queries, int q, float* keys, float* scores)
    {
        float* x0 = Query(queries, q), x1 = Query(queries, q + 1), x2 = Query(queries, q + 2), x3 = Query(queries, q + 3);
        Vector512<float> a0 = default, b0 = default, a1 = default, b1 = default, a2 = default, b2 = default, a3 = default, b3 = default;
        for (int i = 0; i < spec.KeyWidth; i++)
        {
            Vector512<float> u = Vector512.Load(keys + i * Page), v = Vector512.Load(keys + i * Page + 16);
            var c = Vector512.Create(x0[i]);
            a0 = Vector512.FusedMultiplyAdd(c, u, a0);
            b0 = Vector512.FusedMultiplyAdd(c, v, b0);
            c = Vector512.Create(x1[i]);
            a1 = Vector512.FusedMultiplyAdd(c, u, a1);
            b1 = Vector512.FusedMultiplyAdd(c, v, b1);
            c = Vector512.Create(x2[i]);
            a2 = Vector512.FusedMultiplyAdd(c, u, a2);
            b2 = Vector512.FusedMultiplyAdd(c, v, b2);
            c = Vector512.Create(x3[i]);
            a3 = Vector512.FusedMultiplyAdd(c, u, a3);
            b3 = Vector512.FusedMultiplyAdd(c, v, b3);
        }
        scores += q * BlockKeys;
        a0.Store(scores);
        b0.Store(scores + 16);
        a1.Store(scores + BlockKeys);
        b1.Store(scores + BlockKeys + 16);
        a2.Store(scores + 2 * BlockKeys);
        b2.Store(scores + 2 * BlockKeys + 16);
        a3.Store(scores + 3 * BlockKeys);
        b3.Store(scores + 3 * BlockKeys + 16);
    }

    // Scale, soft-cap and ALiBi on the 32 scores of a page.
    private void Adjust(in AttentionQueries queries, int q, int firstPosition, float* scores)
    {
        for (int i = 0; i < Page; i += Lanes.Count)
        {
            var s = Vector512.Load(scores + i) * Vector512.Create((float)spec.Scale);
            if (spec.SoftCap is double cap) s = Vector512.Create((float)cap) * Functions.Tanh(s / Vector512.Create((float)cap));
            if (!spec.AlibiSlopes.IsEmpty)
            {
                var distance = Vector512.ConvertToSingle(Vector512.Create(firstPosition + i - queries.Position - q / queries.Heads) + Vector512<int>.Indices);
                s = Vector512.FusedMultiplyAdd(Vector512.Create((float)spec.AlibiSlopes[queries.FirstHead + q % queries.Heads]), distance, s);
            }
            s.Store(scores + i);
        }
    }

    // Scores [256] of a block become weights e^(s − max) where visible and 0 elsewhere; state[0] = max, state[1] = their sum over 16 lanes by position, then the tree.
    private static void Weigh(float* scores, int low, int high, int blockStart, float* state)
    {
        if (low > high)
        {
            (state[0], state[1]) = (float.NegativeInfinity, 0);
            return;
        }
        int from = (low - blockStart) / Lanes.Count * Lanes.Count, to = high - blockStart;
        var largest = Vector512.Create(float.NegativeInfinity);
        for (int i = from; i <= to; i += Lanes.Count)
            largest = Vector512.Max(largest, Vector512.ConditionalSelect(Lanes.Mask(low - blockStart - i, high - blockStart - i), Vector512.Load(scores + i), Vector512.Create(float.NegativeInfinity)));
        float maximum = Lanes.Max(largest);
        var sum = Vector512<float>.Zero;
        for (int i = from; i <= to; i += Lanes.Count)
        {
            var weight = Functions.Exp(Vector512.Load(scores + i) - Vector512.Create(maximum));
            weight = Vector512.ConditionalSelect(Lanes.Mask(low - blockStart - i, high - blockStart - i), weight, Vector512<float>.Zero);
            weight.Store(scores + i);
            sum += weight;
        }
        (state[0], state[1]) = (maximum, Lanes.Sum(sum));
    }

    // sum[i] += Σ_t weights[t] · values[t][i] over positions low … high of a page.
    private void AddOne(float* weights, nint valuesAddress, int stride, int low, int high, float* sum)
    {
        float* values = (float*)valuesAddress;
        int i = 0;
        for (; i + 32 <= spec.ValueWidth; i += 32)
        {
            Vector512<float> a = Vector512.Load(sum + i), b = Vector512.Load(sum + i + 16);
            for (int t = low; t <= high; t++)
            {
                var w = Vector512.Create(weights[t]);
                a = Vector512.FusedMultiplyAdd(w, Vector512.Load(values + (long)t * stride + i), a);
                b = Vector512.FusedMultiplyAdd(w, Vector512.Load(values + (long)t * stride + i + 16), b);
            }
            a.Store(sum + i);
            b.Store(sum + i + 16);
        }
        for (; i < spec.ValueWidth; i += Lanes.Count)
        {
            int count = spec.ValueWidth - i;
            var a = Lanes.Load(sum + i, count);
            for (int t = low; t <= high; t++) a = Vector512.FusedMultiplyAdd(Vector512.Create(weights[t]), Lanes.Load(values + (long)t * stride + i, count), a);
            Lanes.Store(a, sum + i, count);
        }
    }

    // The same for four queries (weights [4, 256], sums four strides apart) that see the whole page.
    private void AddFour(float* weights, nint valuesAddress, int stride, float* sum, int sumStride)
    {
        float* values = (float*)valuesAddress, s0 = sum, s1 = sum + sumStride, s2 = sum + 2 * sumStride, s3 = sum + 3 * sumStride;
        int i = 0;
        for (; i + 32 <= spec.ValueWidth; i += 32)
        {
            Vector512<float> a0 = Vector512.Load(s0 + i), b0 = Vector512.Load(s0 + i + 16), a1 = Vector512.Load(s1 + i), b1 = Vector512.Load(s1 + i + 16);
            Vector512<float> a2 = Vector512.Load(s2 + i), b2 = Vector512.Load(s2 + i + 16), a3 = Vector512.Load(s3 + i), b3 = Vector512.Load(s3 + i + 16);
            for (int t = 0; t < Page; t++)
            {
                Vector512<float> u = Vector512.Load(values + (long)t * stride + i), v = Vector512.Load(values + (long)t * stride + i + 16);
                var w = Vector512.Create(weights[t]);
                a0 = Vector512.FusedMultiplyAdd(w, u, a0);
                b0 = Vector512.FusedMultiplyAdd(w, v, b0);
                w = Vector512.Create(weights[t + BlockKeys]);
                a1 = Vector512.FusedMultiplyAdd(w, u, a1);
                b1 = Vector512.FusedMultiplyAdd(w, v, b1);
                w = Vector512.Create(weights[t + 2 * BlockKeys]);
                a2 = Vector512.FusedMultiplyAdd(w, u, a2);
                b2 = Vector512.FusedMultiplyAdd(w, v, b2);
                w = Vector512.Create(weights[t + 3 * BlockKeys]);
                a3 = Vector512.FusedMultiplyAdd(w, u, a3);
                b3 = Vector512.FusedMultiplyAdd(w, v, b3);
            }
            a0.Store(s0 + i);
            b0.Store(s0 + i + 16);
            a1.Store(s1 + i);
            b1.Store(s1 + i + 16);
            a2.Store(s2 + i);
            b2.Store(s2 + i + 16);
            a3.Store(s3 + i);
            b3.Store(s3 + i + 16);
        }
        if (i == spec.ValueWidth) return;
        for (int q = 0; q < 4; q++)
            for (int k = i; k < spec.ValueWidth; k += Lanes.Count)
            {
                int count = spec.ValueWidth - k;
                var a = Lanes.Load(sum + q * sumStride + k, count);
                for (int t = 0; t < Page; t++) a = Vector512.FusedMultiplyAdd(Vector512.Create(weights[q * BlockKeys + t]), Lanes.Load(values + (long)t * stride + k, count), a);
                Lanes.Store(a, sum + q * sumStride + k, count);
            }
    }

    private void Start(in AttentionQueries queries, float* total)
    {
        int stride = spec.ValueWidth + 2;
        for (int q = 0; q < queries.Count; q++)
        {
            total[(long)q * stride] = sinks is null ? float.NegativeInfinity : sinks[queries.FirstHead + q % queries.Heads];
            total[(long)q * stride + 1] = sinks is null ? 0 : 1;
            new Span<float>(total + (long)q * stride + 2, spec.ValueWidth).Clear();
        }
    }

    private void Merge(in AttentionQueries queries, float* block, float* total)
    {
        int stride = spec.ValueWidth + 2;
        for (int q = 0; q < queries.Count; q++)
        {
            float* a = total + (long)q * stride, b = block + (long)q * stride;
            if (b[1] == 0) continue;
            float maximum = MathF.Max(a[0], b[0]);
            float keep = a[1] == 0 ? 0 : Functions.Exp(Vector512.Create(a[0] - maximum))[0], add = Functions.Exp(Vector512.Create(b[0] - maximum))[0];
            (a[0], a[1]) = (maximum, MathF.FusedMultiplyAdd(b[1], add, a[1] * keep));
            for (int i = 0; i < spec.ValueWidth; i += Lanes.Count)
            {
                int count = spec.ValueWidth - i;
                Lanes.Store(Vector512.FusedMultiplyAdd(Lanes.Load(b + 2 + i, count), Vector512.Create(add), Lanes.Load(a + 2 + i, count) * Vector512.Create(keep)), a + 2 + i, count);
            }
        }
    }

    private void Finish(in AttentionQueries queries, float* total)
    {
        int stride = spec.ValueWidth + 2;
        for (int q = 0; q < queries.Count; q++)
        {
            float* a = total + (long)q * stride, y = queries.Y + (long)(q / queries.Heads) * spec.Heads * spec.ValueWidth + q % queries.Heads * spec.ValueWidth;
            for (int i = 0; i < spec.ValueWidth; i += Lanes.Count) Lanes.Store(Lanes.Load(a + 2 + i, spec.ValueWidth - i) / Vector512.Create(a[1]), y + i, spec.ValueWidth - i);
        }
    }
}
