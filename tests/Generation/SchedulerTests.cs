using Tare.Formats;
using Tare.Generation;
using Tare.Synthesis;

namespace Tare.Tests.Generation;

/// <summary>The loop against the simplest model of it: whatever else is admitted, forked, rolled back or canceled, each generation gives what a model alone gives, and no page is lost.</summary>
public sealed class SchedulerTests : IDisposable
{
    private const int Context = 256, Vocabulary = 300;
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-scheduler-").FullName;

    public SchedulerTests()
        => SyntheticModel.Write(Path, SyntheticShape.Known["openelm-270m"] with { Blocks = 2, Width = 32, Heads = 4, KvHeads = 2, HeadWidth = 8, Inner = 48, Vocabulary = Vocabulary, Context = Context }, TensorType.F32, 5);

    private string Path => System.IO.Path.Combine(_folder, "model.gguf");

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Any_mix_of_requests_gives_what_each_gives_alone_and_no_page_is_lost(int seed)
    {
        await using var alone = await Model.LoadAsync(Path, new ModelOptions { Context = Context, Sequences = 1, Threads = 1 });
        // Pages for two whole sequences only, and places for four: requests wait for both.
        await using var model = await Model.LoadAsync(Path, new ModelOptions { Context = Context, Sequences = 4, CacheTokens = 2 * Context, BatchTokens = 48, Threads = 1 });
        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(() => Work(model, alone, new Random(100 * seed + worker)))));
        // All pages are there again: two sequences that need half of them each run side by side to the end of the context.
        var options = new GenerationOptions { IgnoreEnd = true, Sampling = SamplingOptions.Greedy };
        int[][] last = await Task.WhenAll(Enumerable.Range(0, 2).Select(async i =>
        {
            using var session = model.CreateSession();
            return await Ids(session.GenerateAsync([i + 1], options));
        }));
        last.ShouldAllBe(ids => ids.Length == Context - 1);
    }

    private static async Task Work(Model model, Model alone, Random random)
    {
        var sessions = new List<Session> { model.CreateSession() };
        for (int i = 0; i < 12; i++)
        {
            var session = sessions[random.Next(sessions.Count)];
            int[] prompt = [.. Enumerable.Range(0, 1 + random.Next(60)).Select(k => random.Next(3) == 0 ? random.Next(3, Vocabulary) : 3 + k % 50)]; // often the same beginnings
            if (session.Tokens.Count + prompt.Length + 30 >= Context) await session.TruncateAsync(random.Next(40));
            int[] past = [.. session.Tokens];
            var options = new GenerationOptions { MaxTokens = 1 + random.Next(24), IgnoreEnd = true, Sampling = new SamplingOptions { Seed = (ulong)random.Next(), Temperature = random.Next(2) } };
            switch (random.Next(6))
            {
                case 0:
                    using (var stop = new CancellationTokenSource())
                    {
                        int after = random.Next(4), count = 0;
                        if (after == 0) stop.CancelAfter(random.Next(3)); // perhaps while it waits
                        try
                        {
                            await foreach (var _ in session.GenerateAsync(prompt, options, stop.Token))
                                if (++count == after) await stop.CancelAsync();
                        }
                        catch (OperationCanceledException)
                        {
                        }
                    }
                    break;
                case 1:
                    await foreach (var _ in session.GenerateAsync(prompt, options)) break;
                    break;
                case 2 when sessions.Count < 3:
                    sessions.Add(await session.ForkAsync());
                    break;
                case 3 when sessions.Count > 1:
                    sessions.Remove(session);
                    session.Dispose();
                    break;
                case 4 when past.Length > 0:
                    await session.TruncateAsync(random.Next(past.Length));
                    break;
                default:
                    int[] ids = await Ids(session.GenerateAsync(prompt, options));
                    using (var solo = alone.CreateSession())
                        ids.ShouldBe(await Ids(solo.GenerateAsync([.. past, .. prompt], options)));
                    break;
            }
        }
        foreach (var session in sessions) session.Dispose();
    }

    private static async Task<int[]> Ids(IAsyncEnumerable<GeneratedPiece> pieces)
    {
        var ids = new List<int>();
        await foreach (var piece in pieces)
            if (piece.Id is int id) ids.Add(id);
        return [.. ids];
    }
}
