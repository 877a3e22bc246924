using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Weights;
using Tare.Formats;
using Tare.Graphs.Weights;
using Tare.Synthesis;

namespace Tare.Tests.Backends.Cpu;

/// <summary>Packing: sixteen rows become tiles whatever their width, and what the file holds of a packed matrix leaves resident memory.</summary>
public sealed class PackingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-pack-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData(1), InlineData(3), InlineData(4), InlineData(7), InlineData(8), InlineData(13), InlineData(16), InlineData(77)]
    public unsafe void Sixteen_rows_are_transposed(int width)
    {
        int stride = width + 3;
        uint[] words = [.. Enumerable.Range(0, 16 * stride).Select(i => (uint)(i * 2654435761))], wordTiles = new uint[width * 16 + 1];
        ushort[] halves = [.. words.Select(w => (ushort)(w >> 16))], halfTiles = new ushort[width * 16 + 1];
        fixed (uint* source = words, target = wordTiles) Transposition.Run(source, stride, target, width);
        fixed (ushort* source = halves, target = halfTiles) Transposition.Run(source, stride, target, width);
        for (int r = 0; r < 16; r++)
            for (int k = 0; k < width; k++)
            {
                wordTiles[k * 16 + r].ShouldBe(words[r * stride + k]);
                halfTiles[k * 16 + r].ShouldBe(halves[r * stride + k]);
            }
        (wordTiles[^1], halfTiles[^1]).ShouldBe((0u, (ushort)0));
    }

    [Theory]
    [InlineData(TensorType.F32), InlineData(TensorType.F16), InlineData(TensorType.Q8_0)]
    public void Pages_of_packed_matrices_leave_resident_memory_and_can_be_read_again(TensorType type)
    {
        string path = Path.Combine(_folder, "model.gguf");
        SyntheticModel.Write(path, SyntheticShape.Known["llama-1b"] with { Blocks = 1, Vocabulary = 311 }, type, 1);
        using var model = ModelFile.Open(path);
        using var weights = new CpuWeights(2);
        var large = model.Tensors.Where(t => t.ByteLength > 4 << 20).ToArray();
        large.ShouldNotBeEmpty();
        long stored = large.Sum(t => t.ByteLength);
        foreach (var tensor in large) weights.Matrix(new MappedWeight(tensor), 1);
        if (OperatingSystem.IsLinux()) Resident(path).ShouldBeLessThan(stored / 8);
        var values = new float[large[0].Width];
        large[0].ReadRows(5, 1, values);
        using var copy = ModelFile.Open(path, new OpenOptions { Map = false });
        var expected = new float[values.Length];
        copy.Tensors.Single(t => t.Name == large[0].Name).ReadRows(5, 1, expected);
        values.ShouldBe(expected);
    }

    [Fact]
    public void Pages_of_a_file_are_resident_until_they_are_released()
    {
        if (!OperatingSystem.IsLinux()) return;
        string path = Path.Combine(_folder, "bytes");
        File.WriteAllBytes(path, new byte[8 << 20]);
        using var file = MappedFile.Open(path, map: true);
        file.Span(0, 8 << 20).IndexOfAnyExcept((byte)0).ShouldBe(-1);
        Resident(path).ShouldBe(8 << 20);
        file.ReleasePages(0, 8 << 20);
        Resident(path).ShouldBe(0);
        file.Span(0, 8 << 20).IndexOfAnyExcept((byte)0).ShouldBe(-1);
        file.ReleasePages(1, 2 << 20); // the pages that lie in the range as a whole
        Resident(path).ShouldBeInRange(6 << 20, (6 << 20) + 8192);
        Should.Throw<ArgumentOutOfRangeException>(() => file.ReleasePages(1, 8 << 20));
    }

    // Resident bytes of this process's mappings of a file.
    private static long Resident(string path)
    {
        long bytes = 0;
        bool ours = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            if (line.Contains(" r", StringComparison.Ordinal) && line.Contains('-', StringComparison.Ordinal) && !line.StartsWith("VmFlags", StringComparison.Ordinal)) ours = line.EndsWith(path, StringComparison.Ordinal);
            else if (ours && line.StartsWith("Rss:", StringComparison.Ordinal)) bytes += 1024 * long.Parse(line[4..^2].Trim(), System.Globalization.CultureInfo.InvariantCulture);
        }
        return bytes;
    }
}
