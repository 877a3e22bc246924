using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Weights;
using Tare.Formats;
using Tare.Graphs;
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
        uint[] words = [.. Enumerable.Range(0, 16 * stride).Select(i => (uint)(i * 2654435761))];
        ushort[] halves = [.. words.Select(w => (ushort)(w >> 16))];
        using NativeBuffer<uint> wordTarget = new(width * 16 + 1);
        using NativeBuffer<ushort> shifted = new(width * 16 + 16); // half a line behind an aligned place, as a second tile of odd width
        using NativeBuffer<ushort> halfTarget = new(width * 16 + 1);
        (wordTarget.Pointer[width * 16], halfTarget.Pointer[width * 16]) = (0, 0);
        ushort largest;
        fixed (uint* source = words) Transposition.Run(source, stride, wordTarget.Pointer, width);
        fixed (ushort* source = halves) largest = Transposition.Run(source, stride, halfTarget.Pointer, width);
        fixed (ushort* source = halves) Transposition.Run(source, stride, shifted.Pointer + 16, width).ShouldBe(largest);
        shifted.Span(16, width * 16).SequenceEqual(halfTarget.Span(0, width * 16)).ShouldBeTrue();
        uint[] wordTiles = wordTarget.Span(0, width * 16 + 1).ToArray();
        ushort[] halfTiles = halfTarget.Span(0, width * 16 + 1).ToArray();
        largest.ShouldBe((ushort)Enumerable.Range(0, 16).SelectMany(r => halves[(r * stride)..(r * stride + width)]).Max(h => h & 0x7FFF));
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

    [Theory, InlineData(true), InlineData(false)]
    public void Bytes_of_a_file_are_copied_without_its_pages_and_never_from_behind_its_end(bool map)
    {
        string path = Path.Combine(_folder, "bytes");
        byte[] bytes = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 31))];
        File.WriteAllBytes(path, bytes);
        using var file = MappedFile.Open(path, map);
        var copied = new byte[70_000];
        file.Read(12_345, copied);
        copied.ShouldBe(bytes[12_345..82_345]);
        if (OperatingSystem.IsLinux()) Resident(path).ShouldBe(0);
        file.Read(100_000, []);
        foreach (long offset in new[] { -1L, 30_001, long.MaxValue }) Should.Throw<ArgumentOutOfRangeException>(() => file.Read(offset, copied));
        if (!map || OperatingSystem.IsWindows()) return; // a mapped file can't be made shorter there
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) stream.SetLength(50_000);
        Should.Throw<ModelFileException>(() => file.Read(12_345, copied)).Message.ShouldContain("byte 50000");
        file.Dispose();
        Should.Throw<ObjectDisposedException>(() => file.Read(0, copied));
    }

    public static TheoryData<Type> ExpressionsOfWeights() => [.. typeof(Weight).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Weight)) && !t.IsAbstract && Parts(t).Length > 0)];

    // The weights that an expression is made of, by the parameters of its constructor.
    private static ParameterInfo[] Parts(Type type) => [.. type.GetConstructors().Single().GetParameters().Where(p => p.ParameterType == typeof(Weight) || p.ParameterType == typeof(ImmutableArray<Weight>))];

    [Theory, MemberData(nameof(ExpressionsOfWeights))]
    public void Every_expression_releases_the_pages_of_all_that_it_is_made_of(Type type)
    {
        if (!OperatingSystem.IsLinux()) return;
        const int Side = 64; // a matrix [64, 64] of F32 fills 16 KiB, whole pages on all systems that are tested
        string path = Path.Combine(_folder, type.Name);
        File.WriteAllBytes(path, new byte[Side * Side * sizeof(float) * 32]);
        using var file = MappedFile.Open(path, map: true);
        var parts = new List<MappedTensor>();
        object?[] arguments = [.. type.GetConstructors().Single().GetParameters().Select(p => Argument(p.ParameterType))];
        var expression = (Weight)type.GetConstructors().Single().Invoke(arguments);
        foreach (var part in parts) part.RawRows(0, (int)part.RowCount).IndexOfAnyExcept((byte)0).ShouldBe(-1);
        long resident = Resident(path), bytes = parts.Sum(p => p.ByteLength);
        resident.ShouldBeGreaterThanOrEqualTo(bytes);
        expression.ReleasePages();
        Resident(path).ShouldBeLessThanOrEqualTo(resident - bytes);

        object? Argument(Type wanted)
            => wanted == typeof(Weight) ? type != typeof(MicroscaledWeight) ? Matrix() : parts.Count == 0 ? Leaf(TensorType.U8, Side * Side, 4, 16) : Leaf(TensorType.U8, Side * Side, 4)
            : wanted == typeof(ImmutableArray<Weight>) ? ImmutableArray.Create<Weight>(Matrix(), Matrix())
            : wanted == typeof(int[]) ? Enumerable.Range(0, Side).ToArray()
            : wanted == typeof(RankOneMap) ? new RankOneMap(RankOneKind.Center, Side)
            : wanted == typeof(NormSpec) ? NormSpec.LayerNorm(1e-5)
            : Convert.ChangeType(Side, wanted, CultureInfo.InvariantCulture);

        MappedWeight Matrix() => Leaf(TensorType.F32, Side, Side);

        MappedWeight Leaf(TensorType element, params ImmutableArray<long> shape)
        {
            long count = shape.Aggregate(1L, (product, size) => product * size), bytes = element == TensorType.F32 ? count * sizeof(float) : count;
            parts.Add(new MappedTensor(file, $"part {parts.Count}", element, shape, parts.Sum(p => p.ByteLength), count, bytes));
            return new MappedWeight(parts[^1]);
        }
    }

    // Resident bytes of this process's mappings of a file.
    private static long Resident(string path)
    {
        long bytes = 0;
        bool ours = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            if (line.Contains(" r", StringComparison.Ordinal) && line.Contains('-', StringComparison.Ordinal) && !line.StartsWith("VmFlags", StringComparison.Ordinal)) ours = line.EndsWith(path, StringComparison.Ordinal);
            else if (ours && line.StartsWith("Rss:", StringComparison.Ordinal)) bytes += 1024 * long.Parse(line[4..^2].Trim(), CultureInfo.InvariantCulture);
        }
        return bytes;
    }
}
