using Tare.Backends.Cpu.Caches;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Where attention gets the keys [KeyWidth, 32] and values [32, ValueWidth] of a head and page: from the cache, or from the rows of the step where there is none. Rows of values may be read to the end of a vector.</summary>
internal sealed unsafe class SourceOfPages(AttentionSpec spec, float* stepKeys, float* stepValues)
{
    private const int Page = KvLayout.PageTokens;

    /// <summary>Elements of scratch: keys of two pages, values of one.</summary>
    public long ScratchElements => 2 * CachePanels.ScratchElements(spec.KeyWidth) + CachePanels.ScratchElements(spec.ValueWidth);

    /// <summary>Keys of a page; <paramref name="place"/> (0 or 1) of the scratch may be overwritten. For few queries they are left as they are stored, for more they are widened once.</summary>
    public Panel Keys(CpuStep step, in AttentionQueries queries, int page, int place, float* scratch)
    {
        if (stepKeys is not null) return Panel.Of(KeysOfStep(queries, page, scratch + place * CachePanels.ScratchElements(spec.KeyWidth)), Page);
        ref readonly var format = ref step.State!.Format(queries.Group);
        return queries.AreFew ? Panel.OfKeys(format.Keys, StoredKeys(step, queries, page)) : Panel.Of(WidenedKeys(step, queries, page, place, scratch), Page);
    }

    /// <summary>Values of a page: row t of the result is position 32 · page + t.</summary>
    public Panel Values(CpuStep step, in AttentionQueries queries, int page, float* scratch)
    {
        int width = spec.KvHeads * spec.ValueWidth;
        if (stepValues is not null) return Panel.Of(stepValues + ((long)page * Page + queries.RowOffset) * width + queries.KvHead * spec.ValueWidth, width);
        float* target = scratch + 2 * CachePanels.ScratchElements(spec.KeyWidth);
        if (!spec.ValueFromKey)
        {
            var format = step.State!.Format(queries.Group).Values;
            byte* stored = StoredValues(step, queries, page);
            return queries.AreFew ? Panel.OfValues(format, stored) : Panel.Of(CachePanels.Values(format, stored, target), spec.ValueWidth);
        }
        float* keys = WidenedKeys(step, queries, page, 0, scratch);
        for (int i = 0; i < spec.ValueWidth; i++)
            for (int t = 0; t < Page; t++) target[t * spec.ValueWidth + i] = keys[i * Page + t];
        return Panel.Of(target, spec.ValueWidth);
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

    private float* WidenedKeys(CpuStep step, in AttentionQueries queries, int page, int place, float* scratch)
        => CachePanels.Keys(step.State!.Format(queries.Group).Keys, StoredKeys(step, queries, page), scratch + place * CachePanels.ScratchElements(spec.KeyWidth));

    private float* KeysOfStep(in AttentionQueries queries, int page, float* target)
    {
        int width = spec.KvHeads * spec.KeyWidth;
        for (int t = 0; t < Page; t++)
        {
            int position = page * Page + t;
            bool exists = position >= queries.Start && position <= queries.Highest;
            float* key = stepKeys + (long)(position + queries.RowOffset) * width + queries.KvHead * spec.KeyWidth;
            for (int i = 0; i < spec.KeyWidth; i++) target[i * Page + t] = exists ? key[i] : 0;
        }
        return target;
    }

    private static byte* StoredKeys(CpuStep step, in AttentionQueries queries, int page) => step.State!.Keys(queries.Group, step.Page(queries.Sequence, queries.Group, page), queries.LayerIndex, queries.KvHead);

    private static byte* StoredValues(CpuStep step, in AttentionQueries queries, int page) => step.State!.Values(queries.Group, step.Page(queries.Sequence, queries.Group, page), queries.LayerIndex, queries.KvHead);
}
