using Tare.Capture;
using Tare.Capture.Running;
using Tare.Generation;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Captures beside running conversations, and single runs with a cache of activations.</summary>
public sealed class ServingCaptureTests
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
    private static readonly int[] Prompt = [.. Enumerable.Range(0, 70).Select(i => 3 + i * 13 % 400)];

    [Fact]
    public async Task Conversations_keep_their_tokens_while_captures_come_and_go()
    {
        int[] expected = await Generate(null, null);
        var sink = new Rows(wide: true);
        int[] on = await Generate(new CaptureSpec { Rows = "blocks.1.hook_resid_post,hook_embed" }, sink);
        on.ShouldBe(expected);
        // 70 prompt rows; the last token that was chosen is never run.
        sink.Labels.Count.ShouldBe(70 + 29);
        sink.Labels.Select(l => l.Position).ShouldBe(Enumerable.Range(0, 99));
        sink.Labels.Select(l => l.Token).ShouldBe([.. Prompt, .. expected[..^1]]);
        sink.Completed.ShouldBeTrue();
        sink.MissingRows.ShouldBeEmpty();

        await using var model = await Load();
        var cache = await model.RunWithCacheAsync([.. Prompt, .. expected[..^1]], "blocks.*.hook_resid_post");
        cache.Names.ShouldContain(SiteNames.ResidPost(1));
        cache[SiteNames.ResidPost(1)].ToArray().ShouldBe(sink.First);
        cache.Logits.Length.ShouldBe(99 * (cache.Logits.Length / 99));
        Should.Throw<ArgumentException>(() => cache["blocks.0.hook_mlp_out"]).Message.ShouldContain("was not captured");
        await Should.ThrowAsync<ArgumentException>(() => model.RunWithCacheAsync([1, 2], "blocks.0.hook_resid_pots"));
    }

    [Fact]
    public async Task Cached_positions_are_computed_again_or_reported_missing()
    {
        foreach (bool reuse in new[] { false, true })
        {
            await using var model = await Load();
            using var session = model.CreateSession();
            await Read(session, Prompt, 10);
            var sink = new Rows();
            await using (await model.CaptureAsync(new CaptureSpec { Statistics = $"blocks.0.hook_resid_pre,{SiteNames.Heads}", ReusePrefixes = reuse }, _ => sink)) await Read(session, [4, 5, 6], 5);
            int cached = reuse ? 79 : 0;
            sink.MissingRows.Select(m => m.Count).ShouldBe(reuse ? [cached] : []);
            sink.Labels.Select(l => l.Position).ShouldBe(Enumerable.Range(cached, 87 - cached));
        }
    }

    [Fact]
    public async Task A_faulty_sink_ends_the_capture_and_not_the_conversation()
    {
        await using var model = await Load();
        using var session = model.CreateSession();
        var capture = await model.CaptureAsync(new CaptureSpec { Statistics = SiteNames.Stream }, _ => new Faulty());
        await Should.ThrowAsync<InvalidOperationException>(() => model.CaptureAsync(new CaptureSpec { Rows = "hook_embed" }, _ => new Rows()));
        (await Read(session, Prompt, 30)).Length.ShouldBe(30);
        (await Should.ThrowAsync<IOException>(async () => await capture.DisposeAsync())).Message.ShouldContain("disk is full");
        (await Read(session, [3], 3)).Length.ShouldBe(3);
        var statistics = default(StatisticsSink);
        await using (await model.CaptureAsync(new CaptureSpec { Statistics = SiteNames.Stream }, c => statistics = new StatisticsSink(c))) await Read(session, [3], 3);
        statistics!.Result![0].Columns.Sum(c => c.Count).ShouldBeGreaterThan(100);
    }

    private static async Task<int[]> Generate(CaptureSpec? spec, ICaptureSink? sink)
    {
        await using var model = await Load();
        using var session = model.CreateSession();
        if (spec is null) return await Read(session, Prompt, 30);
        await using (await model.CaptureAsync(spec, _ => sink!)) return await Read(session, Prompt, 30);
    }

    private static Task<Model> Load() => Model.LoadAsync(Fable, new ModelOptions { Threads = 2, Context = 200, BatchTokens = 32 });

    private static async Task<int[]> Read(Session session, int[] prompt, int count)
    {
        var ids = new List<int>();
        await foreach (var piece in session.GenerateAsync(prompt, new GenerationOptions { MaxTokens = count, IgnoreEnd = true, Sampling = new SamplingOptions { Temperature = 0 } }))
            if (piece.Id is int id) ids.Add(id);
        return [.. ids];
    }

    private sealed class Rows(bool wide = false) : ICaptureSink
    {
        public List<RowLabel> Labels { get; } = [];

        public List<float> First { get; } = [];

        public List<(long Sequence, int First, int Count)> MissingRows { get; } = [];

        public bool Completed { get; private set; }

        public void Write(CaptureBlock block)
        {
            Labels.AddRange(block.Labels);
            if (wide)
                for (int r = 0; r < block.Rows; r++) First.AddRange(block.Row(1, r));
        }

        public void Missing(long sequence, int firstPosition, int count) => MissingRows.Add((sequence, firstPosition, count));

        public void Complete() => Completed = true;
    }

    private sealed class Faulty : ICaptureSink
    {
        public void Write(CaptureBlock block) => throw new IOException("the disk is full");

        public void Missing(long sequence, int firstPosition, int count) { }

        public void Complete() { }
    }
}
