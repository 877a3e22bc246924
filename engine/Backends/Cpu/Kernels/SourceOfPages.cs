using Tare.Backends.Cpu.Caches;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Where attention gets the keys [KeyWidth, 32] and values [32, ValueWidth] of a head and page as F32: from the cache, or from the rows of the step where there is none. Rows of values may be read to the end of a vector.</summary>
internal sealed unsafe class SourceOfPages(AttentionSpec spec, float* stepKeys, float* stepValues)
{
    private const int Page = KvLayout.PageTokens;

    /// <summary>Elements of scratch: keys of two pages, values of one.</summary>
    public long ScratchElements => 2 * CachePanels.ScratchElements(spec.KeyWidth) + CachePanels.ScratchElements(spec.ValueWidth);

    /// <summary>Elements from a position's value to the next.</summary>
    public int ValueStride => stepValues is null ? spec.ValueWidth : spec.KvHeads * spec.ValueWidth;

    /// <summary>Keys of a page; <paramref name="place"/> (0 or 1) of the scratch may be overwritten.</summary>
    public float* Keys(CpuStep step, in AttentionQueries queries, int page, int place, float* scratch)
    {
        scratch += place * CachePanels.ScratchElements(spec.KeyWidth);
        if (stepKeys is null) return CachePanels.Keys(step.State!.Format(queries.Group).Keys, StoredKeys(step, queries, page), scratch);
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

    /// <summary>Values of a page: row t of the result is position 32 · page + t.</summary>
    public float* Values(CpuStep step, in AttentionQueries queries, int page, float* scratch)
    {
        if (stepValues is not null) return stepValues + ((long)page * Page + queries.RowOffset) * ValueStride + queries.KvHead * spec.ValueWidth;
        float* target = scratch + 2 * CachePanels.ScratchElements(spec.KeyWidth);
        if (!spec.ValueFromKey) return CachePanels.Values(step.State!.Format(queries.Group).Values, StoredValues(step, queries, page), target);
        float* keys = Keys(step, queries, page, 0, scratch);
        for (int i = 0; i < spec.ValueWidth; i++)
            for (int t = 0; t < Page; t++) target[t * spec.ValueWidth + i] = keys[i * Page + t];
        return target;
    }

    /// <summary>Asks for the keys of two pages over <paramref name="count"/> k of a product.</summary>
    public ReadAhead KeysAhead(CpuStep step, in AttentionQueries queries, int page, int next, int count)
        => stepKeys is null ? new ReadAhead(StoredKeys(step, queries, page), StoredKeys(step, queries, next), step.State!.Format(queries.Group).Keys.Bytes, count) : default;

    /// <summary>The same for the values of a page.</summary>
    public ReadAhead ValuesAhead(CpuStep step, in AttentionQueries queries, int page, int count)
    {
        if (stepKeys is not null || spec.ValueFromKey) return default;
        int half = step.State!.Format(queries.Group).Values.Bytes / 2;
        byte* values = StoredValues(step, queries, page);
        return new ReadAhead(values, values + half, half, count);
    }

    private static byte* StoredKeys(CpuStep step, in AttentionQueries queries, int page) => step.State!.Keys(queries.Group, step.Page(queries.Sequence, queries.Group, page), queries.LayerIndex, queries.KvHead);

    private static byte* StoredValues(CpuStep step, in AttentionQueries queries, int page) => step.State!.Values(queries.Group, step.Page(queries.Sequence, queries.Group, page), queries.LayerIndex, queries.KvHead);
}
