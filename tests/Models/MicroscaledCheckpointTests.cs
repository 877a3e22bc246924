using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Conversion;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

/// <summary>gpt-oss as it is published: expert matrices as MXFP4 blocks and scales [experts, out, …] in place of plain ones [experts, in, out]. Values by the definition of E2M1, not by our decoder.</summary>
public sealed class MicroscaledCheckpointTests : IDisposable
{
    private static readonly float[] E2M1 = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6];
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-mxfp4-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [ConformanceFact("architectures")]
    public void Blocks_and_scales_give_the_model_of_their_values_and_so_does_its_GGUF_file()
    {
        using var blocks = Write("blocks", asBlocks: true);
        using var plain = Write("plain", asBlocks: false);
        string target = Path.Combine(_folder, "out.gguf");
        new Requantization(blocks, new TypePolicy(TensorType.F32), VocabularyUse.None).Write(target);
        using var gguf = ModelFile.Open(target);
        using var reference = new ReferenceBackend();
        int[] tokens = [.. Enumerable.Range(0, 20).Select(i => i * 37 % 320)];
        double[] expected = WholeSequences.Run<double>(reference, ArchitectureRegistry.Build(plain), tokens)[GraphBuilder.LogitsOutput];
        foreach (var file in new[] { blocks, gguf })
        {
            double[] wide = WholeSequences.Run<double>(reference, ArchitectureRegistry.Build(file), tokens)[GraphBuilder.LogitsOutput];
            if (file == blocks) wide.ShouldBe(expected);
            else wide.ShouldBe(expected, 1e-9); // GGUF keeps ε and the rotary base in F32
            using var cpu = new CpuBackend(2);
            float[] logits = WholeSequences.Run<float>(cpu, ArchitectureRegistry.Build(file), tokens)[GraphBuilder.LogitsOutput];
            Nmse.WorstRow(logits, [.. expected.Select(v => (float)v)], 320).ShouldBeLessThan(1e-9);
        }
    }

    [ConformanceFact("architectures")]
    public void Shapes_that_do_not_fit_are_refused_by_name()
    {
        using var file = Write("short", asBlocks: true, groupsOfScales: 1);
        Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(file)).Message.ShouldContain("model.layers.0.mlp.experts.gate_up_proj_scales");
    }

    // The tiny checkpoint with random codes for gate and up: [4, 352, 2, 16] and [4, 352, 2], or their values [4, 64, 352].
    private ModelFile Write(string name, bool asBlocks, int groupsOfScales = 2)
    {
        string source = Path.Combine(SharedData.Conformance("architectures")!, "gpt-oss"), folder = Path.Combine(_folder, name);
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(source, "config.json"), Path.Combine(folder, "config.json"));
        using var whole = ModelFile.Open(source);
        var tensors = new List<TensorToWrite>();
        foreach (var tensor in whole.Tensors)
        {
            if (!tensor.Name.EndsWith("gate_up_proj", StringComparison.Ordinal))
            {
                tensors.Add(new TensorToWrite(tensor.Name, tensor.Type, tensor.Shape, s => tensor.CopyRawTo(s)));
                continue;
            }
            var random = new Random(tensor.Name.Length + tensor.Name[13]);
            byte[] codes = new byte[4 * 352 * 2 * 16], exponents = new byte[4 * 352 * 2];
            random.NextBytes(codes);
            for (int i = 0; i < exponents.Length; i++) exponents[i] = (byte)random.Next(119, 124);
            if (asBlocks)
            {
                tensors.Add(new TensorToWrite($"{tensor.Name}_blocks", TensorType.U8, [4, 352, 2, 16], s => s.Write(codes)));
                tensors.Add(new TensorToWrite($"{tensor.Name}_scales", TensorType.U8, [4, 352, groupsOfScales], s => s.Write(exponents.AsSpan(0, 4 * 352 * groupsOfScales))));
            }
            else tensors.Add(new TensorToWrite(tensor.Name, TensorType.F32, [4, 64, 352], s => s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(Values(codes, exponents).AsSpan()))));
        }
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), tensors);
        return ModelFile.Open(folder);
    }

    private static float[] Values(byte[] codes, byte[] exponents)
    {
        var values = new float[4 * 64 * 352];
        for (int row = 0; row < 4 * 352; row++)
            for (int i = 0; i < 64; i++)
            {
                int code = codes[row * 32 + i / 2] >> (i % 2 == 0 ? 0 : 4) & 15;
                values[row / 352 * 64 * 352 + i * 352 + row % 352] = E2M1[code] * MathF.Pow(2, exponents[row * 2 + i / 32] - 127);
            }
        return values;
    }
}
