using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Caches;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Quantization.Encoding;
using Tare.Generation;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Backends;

/// <summary>Caches of every element type: chunks, company, page placement, saving, forking, rolling back, windows, and the numbers themselves.</summary>
public sealed class KvTypeTests
{
    private static readonly ProgramLimits Limits = new(256, 8, 256);
    private static readonly int[] Text = [.. Enumerable.Range(0, 400).Select(i => (i * 11 + i / 7) % 37)];

    private static readonly (KvType Keys, KvType Values)[] Pairs = [.. Enum.GetValues<KvType>().Select(t => (t, t)), (KvType.Q8_0, KvType.F16), (KvType.F16, KvType.Q8_0)];

    /// <summary>Each type for keys and values, and two mixtures.</summary>
    public static TheoryData<KvType, KvType> Types()
    {
        var data = new TheoryData<KvType, KvType>();
        foreach (var (keys, values) in Pairs) data.Add(keys, values);
        return data;
    }

    /// <summary>Every backend with each of <see cref="Types"/>.</summary>
    public static TheoryData<Type, KvType, KvType> BackendsAndTypes()
    {
        var data = new TheoryData<Type, KvType, KvType>();
        foreach (Type backend in SeamTests.Backends())
            foreach (var (keys, values) in Pairs) data.Add(backend, keys, values);
        return data;
    }

    [Theory, MemberData(nameof(BackendsAndTypes))]
    public void Chunks_batches_and_page_placement_do_not_change_a_bit(Type type, KvType keys, KvType values)
    {
        using var backend = (IBackend)Activator.CreateInstance(type)!;
        var graph = new RandomModel(Blocks: 2, Window: 33, HeadWidth: 36, KeyType: keys, ValueType: values).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var whole = new SequenceRunner(backend, program.Signature.Kv);
        double[] expected = whole.Step<double>(program, "logits", [(0, Text[..75], 0)], backend);
        foreach (int chunk in new[] { 1, 31, 33, 34, 64 })
        {
            using var runner = new SequenceRunner(backend, program.Signature.Kv, pageSeed: chunk);
            var all = new List<double>();
            for (int at = 0; at < 75; at += chunk)
                all.AddRange(runner.Step<double>(program, "logits", [(7, [1, 2], at / chunk * 2), (0, Text[at..Math.Min(at + chunk, 75)], at)], backend).Skip(2 * 37));
            all.ToArray().ShouldBe(expected, $"chunk {chunk}");
        }
    }

    [Theory, MemberData(nameof(BackendsAndTypes))]
    public void Pages_can_be_saved_restored_and_copied(Type type, KvType keys, KvType values)
    {
        using var backend = (IBackend)Activator.CreateInstance(type)!;
        var graph = new RandomModel(Blocks: 2, KeyType: keys, ValueType: values).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, program.Signature.Kv, pagesPerGroup: 2, pageSeed: 1);
        runner.Step<double>(program, "logits", [(0, Text[..40], 0)], backend);
        double[] expected = runner.Step<double>(program, "logits", [(0, [1], 40)], backend);
        byte[][] saved = [.. Enumerable.Range(0, 2).Select(p => { var bytes = new byte[runner.State.PageBytes(0)]; runner.State.SavePage(0, p, bytes); return bytes; })];
        runner.Step<double>(program, "logits", [(0, Text[20..60], 0)], backend);
        runner.Step<double>(program, "logits", [(0, [1], 40)], backend).ShouldNotBe(expected);
        for (int p = 0; p < 2; p++) runner.State.LoadPage(0, p, saved[p]);
        runner.Step<double>(program, "logits", [(0, [1], 40)], backend).ShouldBe(expected);
        runner.State.CopyPage(0, 0, 1);
        var copy = new byte[saved[0].Length];
        runner.State.SavePage(0, 1, copy);
        runner.State.SavePage(0, 0, saved[0]);
        copy.ShouldBe(saved[0]);
        using var other = backend.CreateState(new StateLayout(KvLayout.Of(new RandomModel(Blocks: 2, KeyType: keys == KvType.F32 ? KvType.F16 : KvType.F32, ValueType: values).Build()), [2]));
        Should.Throw<ArgumentException>(() => program.Enqueue(new Step { Sequences = new[] { new SequenceRows(0, 0, 1, 0, Phase.Prompt, 1) }, Tokens = new[] { 1 }, Pages = new[] { 0 }, PageStarts = new[] { 0, 1 }, OutputRows = new[] { 0 } }, [other])).Message.ShouldContain("another shape");
    }

    [Theory, MemberData(nameof(Types))]
    public void Growing_forking_rolling_back_and_adopting_at_random_gives_the_bits_of_plain_runs(KvType keys, KvType values)
    {
        using var backend = new CpuBackend(1);
        var graph = new RandomModel(Blocks: 2, Window: 40, KeyType: keys, ValueType: values).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var state = backend.CreateState(new StateLayout(program.Signature.Kv, [20, 24]));
        using var plain = backend.CreateState(new StateLayout(program.Signature.Kv, [8, 8]));
        var pages = new KvPages(state.Layout, state.CopyPage);
        var random = new Random((int)keys * 3 + (int)values);
        var sequences = new List<(KvSequence Pages, List<int> Ids)>();
        int compared = 0;
        for (int i = 0; i < 400; i++)
        {
            int action = random.Next(8);
            if (sequences.Count == 0 || action == 0 && sequences.Count < 3)
            {
                List<int> ids = sequences.Count > 0 ? [.. sequences[0].Ids.Take(random.Next(100)), 3] : [3];
                var sequence = pages.Create();
                sequences.Add((sequence, ids[..pages.Adopt(sequence, ids.ToArray())]));
                continue;
            }
            int at = random.Next(sequences.Count);
            var (held, known) = sequences[at];
            if (action is 1 or 2 or 3 && known.Count < 150)
            {
                int[] grown = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.Next(37))];
                pages.Extend(held, known.Count + grown.Length);
                float[] logits = Run(state, held.Tables, grown, known.Count);
                known.AddRange(grown);
                var layout = StateLayout.ForOneSequence(program.Signature.Kv, known.Count, known.Count);
                Run(plain, [.. layout.PagesPerGroup.Select(n => Enumerable.Range(0, n).ToList())], [.. known], 0)[^37..].ShouldBe(logits[^37..]);
                pages.FreeBehindWindows(held);
                compared++;
            }
            else if (action == 4 && sequences.Count < 3) sequences.Add((pages.Fork(held), [.. known]));
            else if (action == 5)
            {
                int length = pages.Truncate(held, random.Next(known.Count + 1));
                known.RemoveRange(length, known.Count - length);
            }
            else if (action == 6)
            {
                pages.Release(held);
                sequences.RemoveAt(at);
            }
            else if (action == 7) pages.Index(held, known.ToArray());
        }
        compared.ShouldBeGreaterThan(50);

        float[] Run(IState on, List<int>[] tables, int[] tokens, int position)
        {
            var ticket = program.Enqueue(new Step
            {
                Sequences = new[] { new SequenceRows(0, 0, tokens.Length, position, Phase.Prompt, position + tokens.Length) },
                Tokens = tokens,
                Pages = tables.SelectMany(t => t).ToArray(),
                PageStarts = new[] { 0, tables[0].Count, tables[0].Count + tables[1].Count },
                OutputRows = new[] { tokens.Length - 1 },
            }, [on]);
            float[] values = program.Output<float>(ticket, program.Signature.Output("logits")).ToArray();
            program.Release(ticket);
            return values;
        }
    }

    [Theory, MemberData(nameof(Types))]
    public void Ten_thousand_steps_behind_a_window_hold_no_more_pages_and_memory(KvType keys, KvType values)
    {
        using var backend = new CpuBackend(1);
        var graph = new RandomModel(Blocks: 1, Window: 70, KeyType: keys, ValueType: values).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(1, 1, 1));
        var group = program.Signature.Kv.Groups.Single();
        using var state = backend.CreateState(new StateLayout(program.Signature.Kv, [group.PagesNeeded(10_000, 1)]));
        var pages = new KvPages(state.Layout, state.CopyPage);
        var sequence = pages.Create();
        sequence.Tables[0].Capacity = 10_000 / KvLayout.PageTokens + 1;
        var table = new int[10_000 / KvLayout.PageTokens + 1];
        int[] starts = [0, 0], token = [5], output = [0];
        IState[] states = [state];
        var rows = new SequenceRows[1];
        float[] last = [];
        long bytes = state.Bytes, before = 0;
        for (int i = 0; i < 10_000; i++)
        {
            if (i == 5_000) before = GC.GetAllocatedBytesForCurrentThread();
            pages.Extend(sequence, i + 1);
            sequence.Tables[0].CopyTo(table);
            starts[1] = sequence.Tables[0].Count;
            rows[0] = new SequenceRows(0, 0, 1, i, Phase.Generated, i + 1);
            var ticket = program.Enqueue(new Step { Sequences = rows, Tokens = token, Pages = table.AsSpan(0, starts[1]), PageStarts = starts, OutputRows = output }, states);
            if (i == 9_999) last = program.Output<float>(ticket, new OutputId(0)).ToArray();
            program.Release(ticket);
            pages.FreeBehindWindows(sequence);
        }
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(64 << 10);
        last.ShouldAllBe(v => float.IsFinite(v));
        state.Bytes.ShouldBe(bytes);
        pages.Release(sequence);
        pages.Free(0).ShouldBe(state.Layout.PagesPerGroup[0]);
    }

    [Fact]
    public void Smaller_types_take_the_bytes_of_their_elements()
    {
        using var backend = new CpuBackend(1);
        long Bytes(KvType type)
        {
            using var state = backend.CreateState(new StateLayout(KvLayout.Of(new RandomModel(HeadWidth: 64, KeyType: type, ValueType: type).Build()), [3]));
            return state.Bytes;
        }
        long elements = 3 * 3 * 32 * 2 * 2 * 64; // pages, layers, positions, keys and values, heads, width
        Bytes(KvType.F32).ShouldBe(4 * elements);
        Bytes(KvType.F16).ShouldBe(2 * elements);
        Bytes(KvType.Q8_0).ShouldBe(elements * 34 / 32);
    }

    [ConformanceFact("architectures/gemma2")]
    public void Gemma2_at_eight_thousand_tokens_holds_only_the_windows_of_its_windowed_layers()
    {
        using var file = ModelFile.Open(SharedData.Conformance("architectures/gemma2")!);
        var graph = ArchitectureRegistry.Build(file);
        var kv = KvLayout.Of(graph);
        KvGroup windowed = kv.Groups.Single(g => g.Window is not null), full = kv.Groups.Single(g => g.Window is null);
        using var backend = new CpuBackend();
        const int length = 8192, chunk = 512;
        using IState small = backend.CreateState(StateLayout.ForOneSequence(kv, length, chunk)), large = backend.CreateState(new StateLayout(kv, [.. kv.Groups.Select(_ => length / KvLayout.PageTokens)]));
        double share = windowed.Layers.Length / (double)(windowed.Layers.Length + full.Layers.Length), kept = (windowed.Window!.Value + chunk + 64) / (double)length;
        ((double)small.Bytes / large.Bytes).ShouldBeLessThanOrEqualTo(1 - share + share * kept);
        // The pages that are left are enough: the logits of the last position have the bits of a cache that keeps everything.
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(chunk, 1, 1));
        Last(small).ShouldBe(Last(large));

        float[] Last(IState state)
        {
            var (pages, starts) = state.Layout.TablesOfOneSequence(length);
            float[] logits = [];
            for (int at = 0; at < length; at += chunk)
            {
                var ticket = program.Enqueue(new Step
                {
                    Sequences = new[] { new SequenceRows(0, 0, chunk, at, Phase.Prompt, length) },
                    Tokens = Enumerable.Range(at, chunk).Select(i => i % 50).ToArray(),
                    Pages = pages,
                    PageStarts = starts,
                    OutputRows = new[] { chunk - 1 },
                }, [state]);
                logits = program.Output<float>(ticket, program.Signature.Output(GraphBuilder.LogitsOutput)).ToArray();
                program.Release(ticket);
            }
            logits.ShouldAllBe(v => float.IsFinite(v));
            return logits;
        }
    }

    [Fact]
    public unsafe void Halves_are_rounded_as_the_runtime_rounds_them_and_read_back_exactly()
    {
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, 65_536).Select(i => (float)BitConverter.UInt16BitsToHalf((ushort)i)).Where(float.IsFinite),
            .. Enumerable.Range(0, 200_000).Select(_ => BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue))).Where(float.IsFinite),
            .. Enumerable.Range(0, 30_000).SelectMany(i => Neighbors(i)), 65_519.99f, 65_520, 1e30f, -1e30f, 5e-8f, 2.9802322e-8f, 2.9802326e-8f];
        var halves = new ushort[x.Length];
        fixed (float* source = x)
        fixed (ushort* target = halves) CacheRounding.ToHalves(source, x.Length, target);
        var wide = new float[16];
        for (int i = 0; i < x.Length; i++) halves[i].ShouldBe(BitConverter.HalfToUInt16Bits((Half)Math.Clamp(x[i], -65504f, 65504f)), $"{x[i]:R}");
        fixed (ushort* source = halves)
            for (int i = 0; i + 16 <= halves.Length; i += 16)
            {
                System.Runtime.Intrinsics.Vector512.CopyTo(HalfElements.Load((byte*)(source + i)), wide);
                for (int k = 0; k < 16; k++) wide[k].ShouldBe((float)BitConverter.UInt16BitsToHalf(halves[i + k]));
            }

        // The middle between two halves, and the floats beside it.
        static IEnumerable<float> Neighbors(int half)
        {
            float middle = ((float)BitConverter.UInt16BitsToHalf((ushort)half) + (float)BitConverter.UInt16BitsToHalf((ushort)(half + 1))) / 2;
            return [MathF.BitDecrement(middle), middle, MathF.BitIncrement(middle), -middle];
        }
    }

    [Fact]
    public unsafe void Codes_are_within_half_a_step_and_close_to_the_file_type_of_that_name()
    {
        var random = new Random(4);
        sbyte* codes = stackalloc sbyte[32];
        for (int i = 0; i < 2_000; i++)
        {
            int count = i % 32 + 1;
            float magnitude = (float)Math.Pow(10, random.Next(-9, 5));
            float[] x = [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1) * magnitude)];
            double[] expected = new double[count];
            CachedValues.Round(KvType.Q8_0, count, Array.ConvertAll(x, v => (double)v), expected);
            float scale;
            fixed (float* source = x) scale = (float)CacheRounding.ToCodes(source, count, codes);
            for (int k = 0; k < count; k++) ((double)scale * codes[k]).ShouldBe(expected[k]);
            float largest = x.Max(MathF.Abs);
            if (largest / 127 < 6.2e-5f) continue; // the scale is a denormal half
            for (int k = 0; k < count; k++) Math.Abs(expected[k] - x[k]).ShouldBeLessThanOrEqualTo(largest / 127 * 0.57);
            if (count != 32) continue;
            var block = new byte[34];
            BlockEncoder.Encode(TensorType.Q8_0, x, block);
            for (int k = 0; k < 32; k++) Math.Abs((sbyte)block[2 + k] - codes[k]).ShouldBeLessThanOrEqualTo(1);
        }
    }
}
