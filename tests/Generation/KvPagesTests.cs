using Tare.Execution;
using Tare.Generation;
using Tare.Graphs;

namespace Tare.Tests.Generation;

/// <summary>The page allocator against a model that keeps the contents of every position as plain lists.</summary>
public sealed class KvPagesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Any_mix_of_growing_forking_truncating_and_releasing_keeps_every_sequence_whole(int seed)
    {
        var random = new Random(seed);
        int[] pageCounts = [60, 40];
        int?[] windows = [null, 40];
        var layout = new StateLayout(new KvLayout([new KvGroup([0], 1, 4, 4, KvType.F32, KvType.F32, null), new KvGroup([1], 1, 4, 4, KvType.F32, KvType.F32, 40)]), [.. pageCounts]);
        int[][][] memory = [.. pageCounts.Select(n => Enumerable.Range(0, n).Select(_ => new int[32]).ToArray())];
        var pages = new KvPages(layout, (g, from, to) => memory[g][from].CopyTo(memory[g][to], 0));
        var sequences = new List<(KvSequence Pages, List<int> Ids)>();
        int next = 0;
        for (int i = 0; i < 4000; i++)
        {
            int action = random.Next(8);
            if (action == 0 && sequences.Count < 5)
            {
                // Often the beginning of another one, so that the index is hit.
                List<int> ids = sequences.Count > 0 && random.Next(2) == 0 ? [.. sequences[random.Next(sequences.Count)].Ids.Take(random.Next(120)), next++] : [next++];
                var sequence = pages.Create();
                int adopted = pages.Adopt(sequence, ids.ToArray());
                adopted.ShouldBeLessThan(ids.Count);
                (adopted % 32).ShouldBe(0);
                sequences.Add((sequence, ids[..adopted]));
            }
            else if (sequences.Count > 0)
            {
                int at = random.Next(sequences.Count);
                var (sequence, ids) = sequences[at];
                if (action is 1 or 2 or 3 && ids.Count < 200)
                {
                    int grow = random.Next(1, 40);
                    if (sequences.Sum(s => s.Ids.Count) + grow > 500) continue;
                    pages.Extend(sequence, ids.Count + grow);
                    for (int k = 0; k < grow; k++)
                    {
                        ids.Add(next);
                        for (int g = 0; g < 2; g++) memory[g][sequence.Tables[g][(ids.Count - 1) / 32]][(ids.Count - 1) % 32] = next;
                        next++;
                    }
                    pages.FreeBehindWindows(sequence);
                }
                else if (action == 4 && sequences.Count < 5) sequences.Add((pages.Fork(sequence), [.. ids]));
                else if (action == 5)
                {
                    int length = pages.Truncate(sequence, random.Next(ids.Count + 1));
                    ids.RemoveRange(length, ids.Count - length);
                }
                else if (action == 6)
                {
                    pages.Release(sequence);
                    sequences.RemoveAt(at);
                }
                else if (action == 7) pages.Index(sequence, ids.ToArray());
            }
            foreach (var (sequence, ids) in sequences)
            {
                sequence.Length.ShouldBe(ids.Count);
                for (int g = 0; g < 2; g++)
                    for (int p = Math.Max(0, ids.Count - (windows[g] ?? ids.Count) + 1); p < ids.Count; p++)
                        memory[g][sequence.Tables[g][p / 32]][p % 32].ShouldBe(ids[p]);
            }
        }
        foreach (var (sequence, _) in sequences) pages.Release(sequence);
        while (pages.EvictOldest())
        {
        }
        for (int g = 0; g < 2; g++) pages.Free(g).ShouldBe(pageCounts[g]);
    }

    [Fact]
    public void A_fork_copies_a_page_on_its_first_write_only()
    {
        var copies = new List<(int, int, int)>();
        var pages = new KvPages(new StateLayout(new KvLayout([new KvGroup([0], 1, 4, 4, KvType.F32, KvType.F32, null)]), [8]), (g, a, b) => copies.Add((g, a, b)));
        var first = pages.Create();
        pages.Extend(first, 40);
        var second = pages.Fork(first);
        pages.Free(0).ShouldBe(6);
        pages.Extend(second, 41);
        copies.Count.ShouldBe(1);
        pages.Extend(second, 50);
        pages.Extend(first, 50);
        copies.Count.ShouldBe(1);
        second.Tables[0][0].ShouldBe(first.Tables[0][0]);
        second.Tables[0][1].ShouldNotBe(first.Tables[0][1]);
        pages.Release(first);
        pages.Release(second);
        pages.Free(0).ShouldBe(8);
    }

    [Fact]
    public void A_window_frees_what_lies_behind_it()
    {
        var pages = new KvPages(new StateLayout(new KvLayout([new KvGroup([0], 1, 4, 4, KvType.F32, KvType.F32, 33)]), [8]), (_, _, _) => { });
        var sequence = pages.Create();
        for (int length = 1; length <= 1000; length++)
        {
            pages.Extend(sequence, length);
            pages.FreeBehindWindows(sequence);
            (8 - pages.Free(0)).ShouldBeLessThanOrEqualTo(pages.Needed(0, 1000, 1));
            for (int p = Math.Max(0, length - 33 + 1); p < length; p++) sequence.Tables[0][p / 32].ShouldBeGreaterThanOrEqualTo(0);
        }
        pages.Truncate(sequence, 998).ShouldBe(998);
        pages.Truncate(sequence, 500).ShouldBe(0); // what its positions see is gone
    }

    [Fact]
    public void Prefix_keys_of_other_cache_types_differ()
    {
        PrefixKey Key(KvType keys, KvType values) => PrefixKey.Start(new KvLayout([new KvGroup([0], 1, 4, 4, keys, values, null)])).Next([1, 2, 3]);
        var types = Enum.GetValues<KvType>();
        types.SelectMany(k => types.Select(v => Key(k, v))).Distinct().Count().ShouldBe(types.Length * types.Length);
        Key(KvType.F16, KvType.F16).ShouldBe(Key(KvType.F16, KvType.F16));
    }
}
