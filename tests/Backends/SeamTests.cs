using System.Reflection;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;

namespace Tare.Tests.Backends;

/// <summary>What every backend must bear, on small graphs: cuts, rollbacks, adapters, encoders, graph variants, chunks, batches, page placement.</summary>
public sealed class SeamTests
{
    private static readonly ProgramLimits Limits = new(256, 8, 256);
    private static readonly int[] Text = [.. Enumerable.Range(0, 75).Select(i => (i * 7 + i / 5) % 37)];

    /// <summary>Every implementation of <see cref="IBackend"/> in the engine that can be made without arguments.</summary>
    public static TheoryData<Type> Backends() => [.. typeof(IBackend).Assembly.GetTypes().Where(t => typeof(IBackend).IsAssignableFrom(t) && t is { IsClass: true, IsAbstract: false } && t.GetConstructor(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic, []) is not null)];

    [Theory, MemberData(nameof(Backends))]
    public void Two_programs_cut_at_any_block_give_the_bits_of_one(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel().Build();
        using var store = backend.CreateWeightStore();
        float[] whole = RunWhole(backend, store, graph, Text);
        for (int block = 0; block < graph.Blocks; block++)
        {
            var (front, back) = ResidualCut.At(graph, block);
            using IProgram first = backend.Compile(front, store, Limits), second = backend.Compile(back, store, Limits);
            using var runner = new SequenceRunner(backend, KvLayout.Of(graph));
            float[] residual = runner.Step<float>(first, ResidualCut.Output, [(0, Text, 0)]);
            float[] logits = runner.Step<float>(second, GraphBuilder.LogitsOutput, [(0, Text, 0)], residual: residual);
            if (backend is Tare.Backends.Reference.ReferenceBackend) Nmse.WorstRow(logits, whole, 37).ShouldBeLessThan(1e-12); // the stream crosses the cut as F32
            else logits.ShouldBe(whole);
        }
    }

    [Theory, MemberData(nameof(Backends))]
    public void A_truncated_sequence_goes_on_as_if_the_lost_positions_had_never_run(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel(Window: 9).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        int[] kept = Text[..33], other = [5, 6, 7, 8];
        using var plain = new SequenceRunner(backend, program.Signature.Kv);
        plain.Step<double>(program, "logits", [(0, kept, 0)], backend);
        double[] expected = plain.Step<double>(program, "logits", [(0, other, 33)], backend);
        using var rolled = new SequenceRunner(backend, program.Signature.Kv);
        rolled.Step<double>(program, "logits", [(0, Text[..50], 0)], backend);
        rolled.Step<double>(program, "logits", [(0, other, 33)], backend).ShouldBe(expected);
    }

    [Theory, MemberData(nameof(Backends))]
    public void Two_adapters_share_a_step(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel(Adapters: true).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        double[][] solo = [.. Enumerable.Range(0, 3).Select(adapter =>
        {
            using var runner = new SequenceRunner(backend, program.Signature.Kv);
            return runner.Step<double>(program, "logits", [(0, Text[..5], 0)], backend, [.. Enumerable.Repeat(adapter, 5)]);
        })];
        solo[0].ShouldNotBe(solo[1]);
        solo[1].ShouldNotBe(solo[2]);
        using var together = new SequenceRunner(backend, program.Signature.Kv);
        double[] mixed = together.Step<double>(program, "logits", [(0, Text[..5], 0), (1, Text[..5], 0), (2, Text[..5], 0)], backend, [.. Enumerable.Range(0, 15).Select(r => r / 5)]);
        mixed.ShouldBe([.. solo[0], .. solo[1], .. solo[2]]);
    }

    [Theory, MemberData(nameof(Backends))]
    public void A_bidirectional_sequence_runs_whole_without_a_cache(Type type)
    {
        using var backend = Create(type);
        var g = new GraphBuilder();
        Value x = g.Embed(RandomModel.Matrix(3, "e", 37, 8)), q = g.Linear(x, RandomModel.Matrix(3, "q", 8, 8)), k = g.Linear(x, RandomModel.Matrix(3, "k", 8, 8));
        var graph = g.Finish(new GraphOutput("y", g.Attention(q, k, x, new AttentionSpec(2, 2, 4, 4, 0.5, AttentionMask.Bidirectional))));
        KvLayout.Of(graph).Groups.ShouldBeEmpty();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, KvLayout.Of(graph));
        double[] first = runner.Step<double>(program, "y", [(0, [1, 2, 3], 0)], backend), second = runner.Step<double>(program, "y", [(0, [9, 8, 7, 6], 0)], backend);
        runner.Step<double>(program, "y", [(4, [1, 2, 3], 0), (2, [9, 8, 7, 6], 0)], backend).ShouldBe([.. first, .. second]);
        runner.Step<double>(program, "y", [(0, [1, 2, 4], 0)], backend)[..8].ShouldNotBe(first[..8]); // the first row sees the last
    }

    [Theory, MemberData(nameof(Backends))]
    public void A_second_graph_variant_packs_no_weight_and_continues_the_conversation(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel().Build();
        using var store = backend.CreateWeightStore();
        using var plain = backend.Compile(graph, store, Limits);
        var (count, bytes) = (store.Count, store.Bytes);
        count.ShouldBeGreaterThan(0);
        using var variant = backend.Compile(graph.WithOutputs([.. graph.Outputs, .. graph.HiddenStates.Select((v, i) => new GraphOutput($"hidden.{i}", v))]), store, Limits);
        (store.Count, store.Bytes).ShouldBe((count, bytes));
        using var one = new SequenceRunner(backend, plain.Signature.Kv);
        one.Step<double>(plain, "logits", [(0, Text[..20], 0)], backend);
        double[] expected = one.Step<double>(plain, "logits", [(0, Text[20..30], 20)], backend);
        using var two = new SequenceRunner(backend, plain.Signature.Kv);
        two.Step<double>(plain, "logits", [(0, Text[..20], 0)], backend);
        two.Step<double>(variant, "logits", [(0, Text[20..30], 20)], backend).ShouldBe(expected);
    }

    [Theory, MemberData(nameof(Backends))]
    public void Chunks_batches_and_page_placement_do_not_change_a_bit(Type type)
    {
        using var backend = Create(type);
        foreach (var model in new[] { new RandomModel(), new RandomModel(Seed: 5, Window: 8), new RandomModel(Seed: 6, Window: 33, KvHeads: 4) })
        {
            var graph = model.Build();
            using var store = backend.CreateWeightStore();
            using var program = backend.Compile(graph, store, Limits);
            using var whole = new SequenceRunner(backend, program.Signature.Kv);
            double[] expected = whole.Step<double>(program, "logits", [(0, Text, 0)], backend);
            foreach (int chunk in new[] { 1, 7, 31, 32, 33, 64 })
            {
                using var runner = new SequenceRunner(backend, program.Signature.Kv, pageSeed: chunk);
                var all = new List<double>();
                for (int at = 0; at < Text.Length; at += chunk)
                {
                    int[] part = Text[at..Math.Min(at + chunk, Text.Length)], noise = [.. Enumerable.Range(at, 3).Select(i => i % 37)];
                    double[] values = runner.Step<double>(program, "logits", [(7, noise, at / chunk * 3), (0, part, at)], backend);
                    all.AddRange(values.Skip(3 * 37));
                }
                all.ToArray().ShouldBe(expected, $"chunk {chunk}");
            }
        }
    }

    [Theory, MemberData(nameof(Backends))]
    public void Pages_can_be_saved_restored_and_copied(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel().Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, program.Signature.Kv, pagesPerGroup: 3, pageSeed: 2);
        runner.Step<double>(program, "logits", [(0, Text[..40], 0)], backend);
        double[] expected = runner.Step<double>(program, "logits", [(0, [1], 40)], backend);
        var saved = Enumerable.Range(0, 3).Select(p => { var bytes = new byte[runner.State.PageBytes(0)]; runner.State.SavePage(0, p, bytes); return bytes; }).ToArray();
        runner.Step<double>(program, "logits", [(0, Text[35..75], 0)], backend);
        runner.Step<double>(program, "logits", [(0, [1], 40)], backend).ShouldNotBe(expected);
        for (int p = 0; p < 3; p++) runner.State.LoadPage(0, p, saved[p]);
        runner.Step<double>(program, "logits", [(0, [1], 40)], backend).ShouldBe(expected);
        Should.Throw<ArgumentException>(() => runner.State.LoadPage(0, 0, new byte[3]));
        runner.State.CopyPage(0, 0, 2);
        byte[] from = new byte[saved[0].Length], to = new byte[saved[0].Length];
        runner.State.SavePage(0, 0, from);
        runner.State.SavePage(0, 2, to);
        to.ShouldBe(from);
    }

    [Theory, MemberData(nameof(Backends))]
    public void Bad_steps_are_refused_before_anything_is_written(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel().Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, program.Signature.Kv);
        Should.Throw<ArgumentException>(() => runner.Step<double>(program, "logits", [(0, [37], 0)], backend)).Message.ShouldContain("37");
        Should.Throw<ArgumentException>(() => runner.Step<double>(program, "logits", [(0, [-1], 0)], backend));
        Should.Throw<ArgumentException>(() => runner.Step<double>(program, "logits", [(0, [1], 0), (0, [1], 1)], backend)).Message.ShouldContain("twice");
        Should.Throw<ArgumentException>(() => runner.Step<double>(program, "logits", [(0, [1], 0)], backend, [1])).Message.ShouldContain("adapter");
        Should.Throw<ArgumentException>(() => runner.Step<double>(program, "logits", [(0, [.. Enumerable.Repeat(1, 257)], 0)], backend)).Message.ShouldContain("257");
        Should.Throw<ArgumentException>(() => program.Enqueue(new Step { Sequences = new[] { new SequenceRows(0, 0, 1, 0, Phase.Prompt, 1) }, Tokens = new[] { 1 }, Pages = new[] { 99 }, PageStarts = new[] { 0, 1 } }, [runner.State])).Message.ShouldContain("99");
        Should.Throw<ArgumentException>(() => program.Enqueue(new Step { Sequences = new[] { new SequenceRows(0, 0, 1, 40, Phase.Prompt, 41) }, Tokens = new[] { 1 }, Pages = new[] { 0 }, PageStarts = new[] { 0, 1 } }, [runner.State])).Message.ShouldContain("40");
    }

    [Theory, MemberData(nameof(Backends))]
    public void Any_step_runs_or_is_refused_by_name(Type type)
    {
        using var backend = Create(type);
        var graph = new RandomModel(Window: 9).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(40, 3, 40));
        using var state = backend.CreateState(new StateLayout(program.Signature.Kv, [.. program.Signature.Kv.Groups.Select(_ => 6)]));
        int groups = program.Signature.Kv.Groups.Length, ran = 0, refused = 0;
        int[] odd = [-1, 0, 1, 31, 32, 33, 37, 40, 1 << 20, int.MaxValue - 1, int.MaxValue, int.MinValue];
        for (int seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            int Odd(int usual) => random.Next(12) == 0 ? odd[random.Next(odd.Length)] : usual;
            var sequences = new List<SequenceRows>();
            List<int> tokens = [], pages = [], starts = [0];
            for (int s = 0; s < 1 + random.Next(3); s++)
            {
                int rows = 1 + random.Next(12), position = random.Next(40);
                sequences.Add(new SequenceRows(Odd(s), Odd(tokens.Count), Odd(rows), Odd(position), (Phase)random.Next(3), Odd(position + rows)));
                for (int r = 0; r < rows; r++) tokens.Add(Odd(random.Next(37)));
                for (int g = 0; g < groups; g++)
                {
                    for (int p = 0; p < 2; p++) pages.Add(Odd(2 * s + p));
                    starts.Add(Odd(pages.Count));
                }
            }
            var step = new Step
            {
                Sequences = sequences.ToArray(),
                Tokens = tokens.ToArray(),
                Pages = pages.ToArray(),
                PageStarts = starts.ToArray(),
                OutputRows = random.Next(2) == 0 ? [] : new[] { Odd(0), Odd(tokens.Count - 1) },
                Slots = random.Next(6) == 0 ? new RowSlots[random.Next(4)] : default,
            };
            try
            {
                var ticket = program.Enqueue(step, [state]);
                program.Wait(ticket);
                program.Release(ticket);
                ran++;
            }
            catch (ArgumentException)
            {
                refused++;
            }
        }
        ran.ShouldBeGreaterThan(50);
        refused.ShouldBeGreaterThan(500);
    }

    private static IBackend Create(Type type) => (IBackend)Activator.CreateInstance(type, nonPublic: true)!;

    private static float[] RunWhole(IBackend backend, IWeightStore store, Graph graph, int[] tokens)
    {
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, KvLayout.Of(graph));
        return runner.Step<float>(program, GraphBuilder.LogitsOutput, [(0, tokens, 0)]);
    }
}

/// <summary>Reads a step's output in the widest type that a backend gives, as doubles.</summary>
internal static class WidestOutput
{
    public static double[] Step<T>(this SequenceRunner runner, IProgram program, string output, (int, int[], int)[] parts, IBackend backend, int[]? adapters = null)
        => backend is Tare.Backends.Reference.ReferenceBackend ? runner.Step<double>(program, output, parts, adapters) : Array.ConvertAll(runner.Step<float>(program, output, parts, adapters), v => (double)v);
}
