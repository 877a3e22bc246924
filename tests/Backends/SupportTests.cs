using System.Runtime.InteropServices;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Quantization;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Tests.Support;

namespace Tare.Tests.Backends;

/// <summary>What <c>tare doctor</c> prints is so: where a backend says that it supports an op with a stored type, it runs and agrees with Reference; where it does not, compiling says why.</summary>
public sealed class SupportTests : IDisposable
{
    private const int Width = 256, Rows = 8;
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-support-").FullName;

    public static TheoryData<Type> Backends() => SeamTests.Backends();

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory, MemberData(nameof(Backends))]
    public void Every_stored_type_runs_or_is_refused_as_announced(Type type)
    {
        using var backend = (IBackend)Activator.CreateInstance(type, nonPublic: true)!;
        using var reference = new ReferenceBackend(1);
        foreach (var format in BlockFormats.All)
        {
            using var file = Write(format);
            var weight = new MappedWeight(file.Tensors[0]);
            foreach (var (op, graph) in Graphs(weight))
            {
                string label = $"{op.Name} {format.Type}";
                if (!backend.Supports(op, out string? reason))
                {
                    reason.ShouldNotBeNullOrWhiteSpace(label);
                    using var store = backend.CreateWeightStore();
                    Should.Throw<UnsupportedOpException>(() => backend.Compile(graph, store, new ProgramLimits(4, 1, 4)), label);
                    continue;
                }
                float[] expected = WholeSequences.Run<float>(reference, graph, [1, 0, 3, 2])["y"], actual = WholeSequences.Run<float>(backend, graph, [1, 0, 3, 2])["y"];
                Nmse.WorstRow(actual, expected, expected.Length / 4).ShouldBeLessThan(1e-7, label);
                expected.ShouldContain(v => v != 0, label);
            }
        }
    }

    private static IEnumerable<(Op Op, Graph Graph)> Graphs(Weight weight)
    {
        Value Input(GraphBuilder g) => g.Embed(RandomModel.Matrix(1, "x", 4, Width));
        yield return (new Linear(weight), With(g => g.Linear(Input(g), weight)));
        yield return (new Embed(weight), With(g => g.Embed(weight)));
        yield return (new GroupLinear(weight, 1), With(g => g.Append(new GroupLinear(weight, 1), Input(g))));
        yield return (new ExpertLinear(weight, null, 2), With(g =>
        {
            var x = Input(g);
            var chosen = g.AppendAll(new Router(new RouterSpec(2, 1, RouterScore.Softmax, false)), g.Linear(x, RandomModel.Matrix(2, "r", 2, Width)));
            return g.Append(new ExpertLinear(weight, null, 2), x, chosen[0]);
        }));

        static Graph With(Func<GraphBuilder, Value> build)
        {
            var g = new GraphBuilder();
            return g.Finish(new GraphOutput("y", build(g)));
        }
    }

    // Bytes that give finite numbers in every type.
    private ModelFile Write(BlockFormat format)
    {
        var bytes = new byte[Rows * Width / format.ValuesPerBlock * format.BytesPerBlock];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = (byte)(format.Type == TensorType.Bool ? i * 7 % 3 % 2 : 0x28 + i * 7 % 13);
        if (format.Type == TensorType.F64) MemoryMarshal.AsBytes<double>([.. Enumerable.Range(0, Rows * Width).Select(i => i % 13 - 6.5)]).CopyTo(bytes);
        var tensor = new TensorToWrite("w", format.Type, [Rows, Width], stream => stream.Write(bytes));
        string path = Path.Combine(_folder, format.Type < TensorType.F8_E4M3 ? $"{format.Type}.gguf" : $"{format.Type}.safetensors");
        if (format.Type < TensorType.F8_E4M3) GgufWriter.Write(path, [], [tensor]);
        else SafetensorsWriter.Write(path, [tensor]);
        return ModelFile.Open(path);
    }
}
