using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Formats;

/// <summary>Mutated model files end in one <see cref="ModelFileException"/> or load; nothing else, and without allocating more than the file justifies. <c>TARE_FUZZ_ITERATIONS</c> sets the number of mutations.</summary>
public sealed class FuzzTests
{
    private const int DefaultMutations = 24_000;

    [ConformanceFact("architectures-gguf", "quantisation", "architectures")]
    public void Mutated_files_load_or_end_in_one_clear_error()
    {
        int wanted = Environment.GetEnvironmentVariable("TARE_FUZZ_ITERATIONS") is { Length: > 0 } set ? int.Parse(set, CultureInfo.InvariantCulture) : DefaultMutations;
        var fixtures = Fixtures();
        int accepted = 0, refused = 0;
        for (int i = 0; i < wanted; i++)
        {
            var (name, bytes) = fixtures[i % fixtures.Count];
            var random = new Random(i);
            byte[] mutated = Mutate(bytes, name, random);
            long before = GC.GetAllocatedBytesForCurrentThread();
            var clock = Stopwatch.StartNew();
            try
            {
                ReadAll(name, mutated);
                accepted++;
            }
            catch (ModelFileException e)
            {
                e.Message.ShouldContain(name);
                e.Message.Length.ShouldBeLessThan(10_000);
                refused++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"mutation {i} of {name} ended in {e.GetType().Name}", e);
            }
            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(4_000_000 + 60L * mutated.Length, $"mutation {i} of {name}");
            clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(20), $"mutation {i} of {name}");
        }
        refused.ShouldBeGreaterThan(wanted / 10); // the mutations do reach the checks
        accepted.ShouldBeGreaterThan(wanted / 50); // and do not all break the first field
    }

    private static List<(string Name, byte[] Bytes)> Fixtures()
    {
        var files = Directory.GetFiles(SharedData.Conformance("architectures-gguf")!, "*.gguf")
            .Concat(Directory.GetFiles(SharedData.Conformance("quantisation")!))
            .Concat(Directory.GetFiles(SharedData.Conformance("architectures")!, "model.safetensors", SearchOption.AllDirectories))
            .Where(f => f.EndsWith(".gguf", StringComparison.Ordinal) || f.EndsWith(".safetensors", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
        return [.. files.Select(f => (Path.Combine(Path.GetFileName(Path.GetDirectoryName(f))!, Path.GetFileName(f)), File.ReadAllBytes(f)))];
    }

    // Opens the file, builds the graph where the architecture is known, and decodes the first and last row of every tensor.
    private static void ReadAll(string name, byte[] bytes)
    {
        using ModelFile model = name.EndsWith(".gguf", StringComparison.Ordinal) ? GgufFile.FromBytes(name, bytes) : CheckpointFolder.FromBytes(name, bytes);
        foreach (var tensor in model.Tensors)
        {
            if (tensor.RowCount == 0 || tensor.Width == 0 || tensor.Width > 1 << 16) continue;
            var row = new float[tensor.Width];
            tensor.ReadRows(0, 1, row);
            tensor.ReadRows(tensor.RowCount - 1, 1, row);
        }
        if (model is GgufFile) _ = GraphDump.ToText(ArchitectureRegistry.Build(model));
    }

    private static byte[] Mutate(byte[] original, string name, Random random)
    {
        int header = name.EndsWith(".gguf", StringComparison.Ordinal) ? Math.Min(original.Length, 6000) : (int)Math.Min(original.Length, 8 + BinaryPrimitives.ReadInt64LittleEndian(original));
        byte[] bytes = [.. original];
        for (int count = 1 + random.Next(3); count > 0; count--)
        {
            int at = random.Next(Math.Max(1, header - 8));
            switch (random.Next(8))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), Boundary(random)); break;
                case 3: BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), (int)Boundary(random)); break;
                case 4: return bytes[..random.Next(bytes.Length)];
                case 5: bytes = [.. bytes[..at], .. bytes[(at + random.Next(1, 9))..]]; break;
                case 6: bytes = [.. bytes[..at], .. bytes.AsSpan(random.Next(header - 8), random.Next(1, 9)), .. bytes[at..]]; break;
                default: bytes.AsSpan(random.Next(header - 8), 8).CopyTo(bytes.AsSpan(at)); break;
            }
            header = Math.Min(header, bytes.Length);
            if (header < 32) break;
        }
        return bytes;
    }

    private static long Boundary(Random random) => random.Next(9) switch
    {
        0 => 0,
        1 => -1,
        2 => 1L << 60,
        3 => long.MaxValue,
        4 => int.MaxValue,
        5 => uint.MaxValue,
        6 => 1L << 31,
        7 => random.Next(64),
        _ => random.NextInt64(),
    };
}
