using System.Text.Json;
using Tare.Generation;
using Tare.Tests.Support;

namespace Tare.Tests.Generation;

/// <summary>Whole generations on the bundled model: company changes nothing, cancelling frees, conversations go on.</summary>
public sealed class EngineTests : IAsyncLifetime
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
    private Model _model = null!;

    public async Task InitializeAsync() => _model = await Model.LoadAsync(Fable, new ModelOptions { Context = 512, Sequences = 8, BatchTokens = 64, CacheTokens = 2048 });

    public Task DisposeAsync() => _model.DisposeAsync().AsTask();

    [Fact]
    public async Task Eight_concurrent_sessions_equal_their_solo_runs_bit_for_bit()
    {
        string[] prompts = ["Once upon a time", "The fox", "In a house by the sea there lived", "\"Where are you going?\" asked", "A", "The old king had three", "One morning", string.Join(' ', Enumerable.Repeat("the bird sang and", 60))];
        GenerationOptions Options(int i) => new() { MaxTokens = 20 + 7 * i, IgnoreEnd = true, LogProbabilities = 1, Sampling = i == 0 ? SamplingOptions.Greedy : new SamplingOptions { Seed = (ulong)i, Temperature = 0.5 + 0.1 * i, TopK = 5 * i, RepeatPenalty = 1 + 0.02 * i } };
        var solo = new List<List<GeneratedPiece>>();
        for (int i = 0; i < prompts.Length; i++)
        {
            await using var alone = await Model.LoadAsync(Fable, new ModelOptions { Context = 512, Sequences = 1, Threads = 1 + i % 2 });
            using var session = alone.CreateSession();
            solo.Add(await Collect(session.GenerateAsync(prompts[i], Options(i))));
        }
        for (int round = 0; round < 2; round++) // the second round takes its beginnings from the prefix index
        {
            var together = await Task.WhenAll(prompts.Select(async (p, i) =>
            {
                using var session = _model.CreateSession();
                await Task.Delay(i * 3);
                return await Collect(session.GenerateAsync(p, Options(i)));
            }));
            for (int i = 0; i < prompts.Length; i++)
            {
                together[i].Select(p => (p.Id, p.Text, p.LogProbability)).ShouldBe(solo[i].Select(p => (p.Id, p.Text, p.LogProbability)), $"round {round}, prompt {i}");
                together[i][^1].Finish.ShouldBe(FinishReason.Length);
            }
            if (round == 1) together[^1][^1].Timings!.ReusedTokens.ShouldBeGreaterThan(100);
        }
    }

    [Fact]
    public async Task Requests_end_while_queued_and_while_running_when_they_are_canceled()
    {
        using var endless = new EndlessModel();
        await using var model = await endless.LoadAsync(sequences: 8);
        var stops = Enumerable.Range(0, 9).Select(_ => new CancellationTokenSource()).ToArray();
        var first = Enumerable.Range(0, 9).Select(_ => new TaskCompletionSource()).ToArray();
        Task Start(int i) => Should.ThrowAsync<OperationCanceledException>(async () =>
        {
            using var session = model.CreateSession();
            await foreach (var _ in session.GenerateAsync([1], EndlessModel.Options, stops[i].Token)) first[i].TrySetResult();
        });
        // Eight run, so the ninth waits until it is canceled.
        Task[] running = [.. Enumerable.Range(0, 8).Select(Start)];
        await Task.WhenAll(first[..8].Select(f => f.Task));
        var queued = Start(8);
        await stops[8].CancelAsync();
        await queued;
        first[8].Task.IsCompleted.ShouldBeFalse();
        running.ShouldAllBe(t => !t.IsCompleted);
        foreach (var stop in stops) await stop.CancelAsync();
        await Task.WhenAll(running);
        // Leaving an enumeration ends the request too, and the places are free again.
        using var next = model.CreateSession();
        await foreach (var _ in next.GenerateAsync([1], EndlessModel.Options)) break;
        (await Collect(next.GenerateAsync([2], new GenerationOptions { MaxTokens = 3, IgnoreEnd = true }))).Count.ShouldBe(4);
    }

    [Fact]
    public async Task A_conversation_goes_on_forks_and_rolls_back_as_if_it_had_been_one_prompt()
    {
        var options = new GenerationOptions { MaxTokens = 40, IgnoreEnd = true, Sampling = SamplingOptions.Greedy };
        using var session = _model.CreateSession();
        var first = await Collect(session.GenerateAsync("Once upon a time", options));
        using var fork = await session.ForkAsync();
        int length = session.Tokens.Count;
        int[] more = _model.Tokenizer.Encode(" And then", addSpecial: false);
        var second = await Collect(session.GenerateAsync(more, options));
        second[^1].Timings!.ReusedTokens.ShouldBeGreaterThanOrEqualTo(length - 1);

        using var whole = _model.CreateSession();
        (await Ids(whole.GenerateAsync([.. session.Tokens.Take(length), .. more], options))).ShouldBe(second.Where(p => p.Id is not null).Select(p => p.Id!.Value));
        (await Ids(fork.GenerateAsync(more, options))).ShouldBe(second.Where(p => p.Id is not null).Select(p => p.Id!.Value));
        await session.TruncateAsync(length);
        session.Tokens.Count.ShouldBe(length);
        (await Ids(session.GenerateAsync(more, options))).ShouldBe(second.Where(p => p.Id is not null).Select(p => p.Id!.Value));
    }

    [Fact]
    public async Task A_full_context_is_a_clear_error_and_a_prompt_that_fills_it_ends_there()
    {
        using var session = _model.CreateSession();
        var full = await Should.ThrowAsync<ContextFullException>(() => Collect(session.GenerateAsync([.. Enumerable.Repeat(5, 512)])));
        full.Message.ShouldContain("512");
        var pieces = await Collect(session.GenerateAsync([.. Enumerable.Repeat(5, 508)], new GenerationOptions { IgnoreEnd = true }));
        pieces[^1].Finish.ShouldBe(FinishReason.ContextFull);
        pieces.Count.ShouldBe(5);
        await Should.ThrowAsync<ArgumentException>(() => Collect(_model.CreateSession().GenerateAsync([4096])));
        await Should.ThrowAsync<ArgumentException>(() => Collect(_model.CreateSession().GenerateAsync(Array.Empty<int>())));
    }

    [Fact]
    public async Task Stop_strings_end_the_text_before_them()
    {
        using var session = _model.CreateSession();
        var plain = await Collect(session.GenerateAsync("Once upon a time", new GenerationOptions { MaxTokens = 30, IgnoreEnd = true, Sampling = SamplingOptions.Greedy }));
        string text = string.Concat(plain.Select(p => p.Text)), stop = text.Substring(text.Length / 2, 5);
        using var other = _model.CreateSession();
        var stopped = await Collect(other.GenerateAsync("Once upon a time", new GenerationOptions { MaxTokens = 30, IgnoreEnd = true, Sampling = SamplingOptions.Greedy, Stop = ["never there", stop] }));
        string.Concat(stopped.Select(p => p.Text)).ShouldBe(text[..text.IndexOf(stop, StringComparison.Ordinal)]);
        stopped[^1].Finish.ShouldBe(FinishReason.Stop);
    }

    [Fact]
    public async Task Disposing_a_model_ends_its_requests()
    {
        using var endless = new EndlessModel();
        var model = await endless.LoadAsync(sequences: 1);
        using Session running = model.CreateSession(), queued = model.CreateSession();
        var first = new TaskCompletionSource();
        Task[] ends = [.. new[] { running, queued }.Select(s => Should.ThrowAsync<ObjectDisposedException>(async () =>
        {
            await foreach (var _ in s.GenerateAsync([1], EndlessModel.Options)) first.TrySetResult();
        }))];
        await first.Task;
        await model.DisposeAsync();
        await Task.WhenAll(ends);
        Should.Throw<ObjectDisposedException>(model.CreateSession);
    }

    [ConformanceTheory("fable")]
    [InlineData("fable-ln.F16.gguf", "fable-ln")]
    [InlineData("fable-ln-free", "fable-ln-free")]
    public Task Fable_tells_the_reference_story(string model, string reference) => Greedy(SharedData.Model(model)!, Path.Combine(SharedData.Conformance("fable")!, $"{reference}.json"));

    [ConformanceFact("smollm2", "models/SmolLM2-135M-Instruct.Q4_1.gguf")]
    public Task SmolLM2_generates_the_reference_ids() => Greedy(SharedData.Model("SmolLM2-135M-Instruct.Q4_1.gguf")!, Path.Combine(SharedData.Conformance("smollm2")!, "expected.json"));

    private static async Task Greedy(string path, string expected)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(expected));
        await using var model = await Model.LoadAsync(path, new ModelOptions { Context = 512 });
        await Task.WhenAll(json.RootElement.GetProperty("prompts").EnumerateArray().Select(async prompt =>
        {
            int[] ids = [.. prompt.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
            model.Tokenizer.Encode(prompt.GetProperty("text").GetString()!).ShouldBe(ids);
            int[] greedy = [.. prompt.GetProperty("greedy").GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
            double[] margins = [.. prompt.GetProperty("greedy").GetProperty("margins").EnumerateArray().Select(i => i.GetDouble())];
            using var session = model.CreateSession();
            int[] generated = await Ids(session.GenerateAsync(ids, new GenerationOptions { MaxTokens = greedy.Length, IgnoreEnd = true, Sampling = SamplingOptions.Greedy }));
            int same = generated.AsSpan().CommonPrefixLength(greedy);
            if (same < greedy.Length) margins[same].ShouldBeLessThan(1e-3, $"id {same} of '{prompt.GetProperty("text").GetString()}' differs");
        }));
    }

    private static async Task<List<GeneratedPiece>> Collect(IAsyncEnumerable<GeneratedPiece> pieces)
    {
        var all = new List<GeneratedPiece>();
        await foreach (var piece in pieces) all.Add(piece);
        return all;
    }

    private static async Task<int[]> Ids(IAsyncEnumerable<GeneratedPiece> pieces) => [.. (await Collect(pieces)).Select(p => p.Id).OfType<int>()];
}
