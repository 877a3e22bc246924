using Tare.Formats;
using Tare.Generation;
using Tare.Synthesis;

namespace Tare.Tests.Generation;

/// <summary>Tests that look at the memory of the whole process run when no other test does.</summary>
[CollectionDefinition(nameof(AloneCollection), DisableParallelization = true)]
public sealed class AloneCollection;

[Collection(nameof(AloneCollection))]
public sealed class LongRunTests : IDisposable
{
    private const int Context = 256;
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-long-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public async Task Ten_thousand_steps_leave_nothing_behind()
    {
        string path = Path.Combine(_folder, "model.gguf");
        SyntheticModel.Write(path, SyntheticShape.Known["llama-1b"] with { Blocks = 1, Width = 32, Heads = 2, KvHeads = 1, HeadWidth = 16, Inner = 48, Vocabulary = 300, Context = Context }, TensorType.F32, 5);
        await using var model = await Model.LoadAsync(path, new ModelOptions { Context = Context, Sequences = 2, Threads = 1 });
        async Task<long> Steps(int count)
        {
            for (int i = 0; i < count; i += 200)
            {
                using var session = model.CreateSession();
                await foreach (var _ in session.GenerateAsync([1 + i % 200], new GenerationOptions { MaxTokens = 200, IgnoreEnd = true, LogProbabilities = 3 }))
                {
                }
            }
            return GC.GetTotalMemory(forceFullCollection: true);
        }
        long before = await Steps(2_000), after = await Steps(10_000);
        (after - before).ShouldBeLessThan(1_000_000); // a leak of one row of logits a step would be 12 MB
    }
}
