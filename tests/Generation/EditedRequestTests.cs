using System.Diagnostics.CodeAnalysis;
using Tare.Backends.Cpu;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Capture.Running;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Generation;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;

namespace Tare.Tests.Generation;

/// <summary>Requests with edits beside others: each gives what it gives alone, and no cached position serves a request that would have computed it differently.</summary>
public sealed class EditedRequestTests
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
    private const int Width = 256;
    private static readonly int[] Prompt = [.. Enumerable.Range(0, 70).Select(i => 3 + i * 13 % 400)];
    private static readonly EditVectors Vector = EditVectors.Same([.. Enumerable.Range(0, Width).Select(i => Math.Sin(i * i))]);

    private static EditSpec[][] Requests { get; } =
    [
        [],
        [EditSpec.Add("blocks.1.hook_resid_post", Vector, 2)],
        [EditSpec.Zero("blocks.*.attn.hook_z") with { Heads = [1] }, EditSpec.Scale("blocks.0.hook_mlp_out", 0.5)],
        [EditSpec.Add("blocks.1.hook_resid_post", Vector, -2) with { Rows = new RowSelection { Generated = true } }],
        [EditSpec.ProjectOut("blocks.*.hook_resid_mid", Vector) with { Rows = new RowSelection { Positions = [new(40, int.MaxValue)] } }],
        [EditSpec.Zero("hook_embed") with { Channels = [3, 4], Rows = new RowSelection { Tokens = [16, 29] } }],
    ];

    [Fact]
    public async Task Requests_with_different_edits_share_steps_and_each_gives_what_it_gives_alone()
    {
        var alone = new List<(int[] Ids, double[] Probabilities)>();
        foreach (var edits in Requests)
        {
            await using var single = await Load();
            alone.Add(Result(await Read(single, Prompt, edits)));
        }
        alone.Select(a => a.Probabilities[0]).Distinct().Count().ShouldBe(5); // the edit of generated rows alone shows from the second token on
        alone[3].Probabilities[0].ShouldBe(alone[0].Probabilities[0]);
        alone[3].Probabilities[1].ShouldNotBe(alone[0].Probabilities[1]);
        await using var model = await Load(sequences: Requests.Length);
        for (int round = 0; round < 2; round++) // the second one begins with cached positions
        {
            var together = await Task.WhenAll(Requests.Select(edits => Read(model, Prompt, edits)));
            for (int i = 0; i < Requests.Length; i++)
            {
                Result(together[i]).Ids.ShouldBe(alone[i].Ids, $"request {i}, round {round}");
                Result(together[i]).Probabilities.ShouldBe(alone[i].Probabilities, $"request {i}, round {round}");
            }
        }
    }

    [Fact]
    public async Task Cached_positions_serve_only_requests_that_treat_them_alike()
    {
        await using var model = await Load();
        (await Reused([])).ShouldBe(0);
        (await Reused([])).ShouldBe(64);
        (await Reused(Requests[1])).ShouldBe(0);
        (await Reused(Requests[1])).ShouldBe(64);
        (await Reused([EditSpec.Add("blocks.1.hook_resid_post", Vector, 2.5)])).ShouldBe(0);
        (await Reused(Requests[4])).ShouldBe(32); // positions below 40 are as without edits, and pages are of 32
        (await Reused(Requests[4])).ShouldBe(64);
        (await Reused(Requests[3])).ShouldBe(64); // the prompt is not edited
        (await Reused([])).ShouldBe(64);
        (await Reused([EditSpec.Zero("hook_embed") with { Strength = 0 }])).ShouldBe(64);

        async Task<int> Reused(EditSpec[] edits) => (await Read(model, Prompt, edits, 3))[^1].Timings!.ReusedTokens;
    }

    [Fact]
    public async Task A_conversation_whose_edits_change_gives_what_a_fresh_one_would()
    {
        await using var model = await Load();
        using var session = model.CreateSession();
        foreach (var edits in new[] { Requests[3], [], Requests[1], Requests[1], Requests[4], Requests[3] })
        {
            int[] past = [.. session.Tokens];
            var pieces = await Read(session, [9, 8, 7], edits, 40);
            await using var fresh = await Load();
            Result(pieces).Probabilities.ShouldBe(Result(await Read(fresh, [.. past, 9, 8, 7], edits, 40)).Probabilities);
        }
    }

    [Fact]
    public async Task Any_mix_of_edited_requests_gives_what_each_gives_alone()
    {
        await using var model = await Load(sequences: 3);
        await Task.WhenAll(Enumerable.Range(0, 5).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 4; i++)
            {
                int[] prompt = Prompt[..(1 + random.Next(69))];
                var edits = Requests[random.Next(Requests.Length)];
                var pieces = await Read(model, prompt, edits, 1 + random.Next(12));
                await using var alone = await Load();
                Result(pieces).Probabilities.ShouldBe(Result(await Read(alone, prompt, edits, pieces.Count - 1)).Probabilities);
            }
        })));
    }

    [Fact]
    public async Task A_running_capture_sees_edited_rows_and_those_before_the_edit()
    {
        await using var model = await Load(sequences: 2);
        const string Site = "blocks.1.hook_resid_post";
        var sink = new Rows();
        List<GeneratedPiece> pieces;
        await using (await model.CaptureAsync(new CaptureSpec { Rows = $"{Site},{Site}@before" }, _ => sink))
        {
            await Read(model, Prompt, [], 2); // without edits both are the same
            pieces = await Read(model, Prompt, Requests[1], 2);
            await Read(model, Prompt, [], 2);
        }
        await using var other = await Load();
        Result(pieces).Probabilities.ShouldBe(Result(await Read(other, Prompt, Requests[1], 2)).Probabilities);
        var cache = await other.RunWithCacheAsync([.. Prompt, pieces[0].Id!.Value], $"{Site},{Site}@before", Requests[1]);
        float[] plain = (await other.RunWithCacheAsync([.. Prompt], Site))[Site].ToArray();
        sink.Before.Count.ShouldBe(3 * 71);
        for (int r = 0; r < 71; r++)
        {
            sink.Before[r].ShouldBe(sink.After[r]);
            if (r < 70) sink.After[r].ShouldBe(plain[(r * Width)..((r + 1) * Width)]);
            sink.Before[71 + r].ShouldBe(cache.Row(Site + "@before", r).ToArray());
            sink.After[71 + r].ShouldBe(cache.Row(Site, r).ToArray());
            sink.After[71 + r].ShouldNotBe(sink.Before[71 + r]);
            sink.After[142 + r].ShouldBe(sink.Before[142 + r]);
        }
    }

    [Fact]
    public async Task A_row_patched_from_another_run_is_that_row()
    {
        await using var model = await Load();
        int[] other = [.. Prompt.Select(t => t + 1)];
        var from = await model.RunWithCacheAsync(other, "blocks.0.hook_resid_post");
        // With the stream behind block 0 of another text the rest of the model can't tell that it reads this one.
        var patched = await model.RunWithCacheAsync(Prompt, "blocks.0.hook_resid_post", [EditSpec.Patch("blocks.0.hook_resid_post", from)]);
        patched.Logits.ToArray().ShouldBe((await model.RunWithCacheAsync(other, "hook_embed")).Logits.ToArray());
        var first = await model.RunWithCacheAsync(Prompt, "blocks.0.hook_resid_post", [EditSpec.Patch("blocks.0.hook_resid_post", from) with { Rows = new RowSelection { Positions = [new(0, 9)] } }]);
        first.Row("blocks.0.hook_resid_post", 9).ToArray().ShouldBe(from.Row("blocks.0.hook_resid_post", 9).ToArray());
        first.Row("blocks.0.hook_resid_post", 10).ToArray().ShouldNotBe(from.Row("blocks.0.hook_resid_post", 10).ToArray());
        await Should.ThrowAsync<EditException>(() => model.RunWithCacheAsync(Prompt, "hook_embed", [EditSpec.Patch("blocks.1.hook_resid_post", from)]));
    }

    [Fact]
    public async Task A_request_whose_edits_can_not_be_made_fails_alone()
    {
        await using var model = await Load(sequences: 2, backend: () => new WithoutEdits());
        var plain = Read(model, Prompt, [], 40);
        (await Should.ThrowAsync<ArgumentException>(() => Read(model, Prompt, [EditSpec.Zero("blocks.1.hook_resid_pots")]))).Message.ShouldContain("blocks.1.hook_resid_post");
        (await Should.ThrowAsync<EditException>(() => Read(model, Prompt, [EditSpec.Add("hook_embed", EditVectors.Same(1.0))]))).Message.ShouldContain("hook_embed");
        (await Should.ThrowAsync<UnsupportedOpException>(() => Read(model, Prompt, Requests[1]))).Message.ShouldContain("Edit");
        (await plain).Count.ShouldBe(41);
        (await Read(model, Prompt, [], 5)).Count.ShouldBe(6);
    }

    private static Task<Model> Load(int sequences = 1, Func<IBackend>? backend = null) => Model.LoadAsync(Fable, new ModelOptions { Threads = 1, Context = 400, BatchTokens = 48, Sequences = sequences, Backend = backend });

    private static (int[] Ids, double[] Probabilities) Result(List<GeneratedPiece> pieces) => ([.. pieces.Select(p => p.Id).OfType<int>()], [.. pieces.Select(p => p.LogProbability).OfType<double>()]);

    private static async Task<List<GeneratedPiece>> Read(Model model, int[] prompt, EditSpec[] edits, int count = 20)
    {
        using var session = model.CreateSession();
        return await Read(session, prompt, edits, count);
    }

    private static async Task<List<GeneratedPiece>> Read(Session session, int[] prompt, EditSpec[] edits, int count)
    {
        var pieces = new List<GeneratedPiece>();
        await foreach (var piece in session.GenerateAsync(prompt, new GenerationOptions { MaxTokens = count, IgnoreEnd = true, Sampling = SamplingOptions.Greedy, LogProbabilities = 1, Edits = [.. edits] })) pieces.Add(piece);
        return pieces;
    }

    private sealed class Rows : ICaptureSink
    {
        public List<float[]> Before { get; } = [];

        public List<float[]> After { get; } = [];

        public void Write(CaptureBlock block)
        {
            for (int r = 0; r < block.Rows; r++)
            {
                Before.Add(block.Row(0, r).ToArray());
                After.Add(block.Row(1, r).ToArray());
            }
        }

        public void Missing(long sequence, int firstPosition, int count) { }

        public void Complete() { }
    }

    // The CPU without the Edit op.
    private sealed class WithoutEdits : IBackend
    {
        private readonly CpuBackend _cpu = new(1);

        public DeviceInfo Device => _cpu.Device;

        public bool Supports(Op op, [NotNullWhen(false)] out string? reason)
        {
            reason = op is Edit ? "Edit has no kernel here" : null;
            return reason is null && _cpu.Supports(op, out reason);
        }

        public IWeightStore CreateWeightStore() => _cpu.CreateWeightStore();

        public IState CreateState(StateLayout layout) => _cpu.CreateState(layout);

        public IProgram Compile(Graph graph, IWeightStore weights, ProgramLimits limits, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
            => graph.Nodes.FirstOrDefault(n => !Supports(n.Op, out _)) is null ? _cpu.Compile(graph, weights, limits, progress, cancel) : throw new UnsupportedOpException("Edit has no kernel here");

        public void Dispose() => _cpu.Dispose();
    }
}
