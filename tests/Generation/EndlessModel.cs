using Tare.Formats;
using Tare.Generation;
using Tare.Synthesis;

namespace Tare.Tests.Generation;

/// <summary>A tiny model whose context is so long that no request ends by itself while a test runs, however busy the machine is.</summary>
internal sealed class EndlessModel : IDisposable
{
    private const int Context = 200_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-endless-").FullName;

    public EndlessModel()
        => SyntheticModel.Write(Path, SyntheticShape.Known["llama-1b"] with { Blocks = 1, Width = 32, Heads = 1, KvHeads = 1, HeadWidth = 32, Inner = 32, Vocabulary = 307, Context = Context }, TensorType.F32, 1);

    /// <summary>Fills the context.</summary>
    public static GenerationOptions Options { get; } = new() { IgnoreEnd = true };

    private string Path => System.IO.Path.Combine(_folder, "model.gguf");

    public Task<Model> LoadAsync(int sequences) => Model.LoadAsync(Path, new ModelOptions { Context = Context, Sequences = sequences, Threads = 1 });

    public void Dispose() => Directory.Delete(_folder, true);
}
