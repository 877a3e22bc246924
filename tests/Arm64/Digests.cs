using System.Runtime.InteropServices;
using Tare.Backends.Cpu;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Rewrites;
using Tare.Tests.Backends;
using Tare.Tests.Support;

namespace Tare.Tests.Arm64;

/// <summary>Digests of the bits that this processor computes: lanes of every instruction set, decoders and products of every stored type, whole models. Other processors must give the same.</summary>
internal static class Digests
{
    private const int Outputs = 40, Width = 512;

    /// <summary>All digests by name; lanes under the name of their instruction set.</summary>
    public static IEnumerable<(string Name, string Digest)> All()
    {
        foreach (var lanes in LaneDigest.OfThisProcessor()) yield return lanes;
        using var backend = new CpuBackend(1);
        yield return ("features", backend.Device.Features);
        foreach (var format in BlockFormats.All.Where(f => f.ValuesPerBlock > 1 || f.Type is TensorType.F32 or TensorType.F16 or TensorType.BF16))
        {
            var weight = new PatternWeight(format);
            var values = new float[Outputs * Width];
            weight.Read(0, Outputs, values);
            yield return ($"decode {format.Type}", Of(values));
            foreach (int bits in IntegerActivations.Applies(weight) ? new[] { 0, 8, 16 } : [0])
                foreach (int rows in new[] { 1, 5 })
                    if (bits != 8 || format.Type is TensorType.Q4_0 or TensorType.Q4_1 or TensorType.Q5_0 or TensorType.Q5_1 or TensorType.Q4_K or TensorType.Q5_K or TensorType.Q6_K)
                        yield return ($"product {format.Type}, {bits} bits, {rows} rows", Of(Product(backend, weight, bits, rows)));
        }
        foreach (var kv in new[] { KvType.F32, KvType.F16, KvType.Q8_0 }) yield return ($"model, cache {kv}", Of(Logits(backend, kv)));
    }

    private static string Of(float[] values)
    {
        for (int i = 0; i < values.Length; i++)
            if (float.IsNaN(values[i])) values[i] = float.NaN; // processors differ in the sign of a NaN
        var digest = new Digest();
        digest.Add(MemoryMarshal.AsBytes(values.AsSpan()));
        return digest.ToString();
    }

    private static float[] Product(CpuBackend backend, Weight weight, int bits, int rows)
    {
        var g = new GraphBuilder();
        Value x = g.Residual(Width);
        var graph = g.Finish(new GraphOutput("y", g.Linear(bits == 0 ? x : g.Append(new QuantizeRows(bits), x), weight)));
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(rows, 1, rows));
        var random = new Random(rows);
        float[] residual = [.. Enumerable.Range(0, rows * Width).Select(_ => (float)(random.NextDouble() * 2 - 1))];
        using var runner = new SequenceRunner(backend, program.Signature.Kv);
        return runner.Step<float>(program, "y", [(0, new int[rows], 0)], residual: residual);
    }

    private static float[] Logits(CpuBackend backend, KvType kv)
    {
        var graph = new RandomModel(Blocks: 2, HeadWidth: 16, KeyType: kv, ValueType: kv).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(64, 1, 64));
        using var runner = new SequenceRunner(backend, program.Signature.Kv);
        return runner.Step<float>(program, GraphBuilder.LogitsOutput, [(0, [.. Enumerable.Range(0, 40).Select(i => i * 7 % 37)], 0)]);
    }

    /// <summary>A stored matrix of arbitrary bytes with bit 6 clear, so that whatever is read as a scale is finite.</summary>
    private sealed record PatternWeight(BlockFormat Format) : Weight
    {
        private readonly byte[][] _rows = [.. Enumerable.Range(0, Outputs).Select(r => Pattern(r, Digests.Width / Format.ValuesPerBlock * Format.BytesPerBlock))];

        public override long Rows => Outputs;

        public override int Width => Digests.Width;

        public override TensorType Type => Format.Type;

        public override void Read(long firstRow, int count, Span<float> destination)
        {
            for (int i = 0; i < count; i++) Format.Decode(_rows[firstRow + i], destination.Slice(i * Width, Width));
        }

        public override void Read(long firstRow, int count, Span<double> destination)
        {
            var values = new float[count * Width];
            Read(firstRow, count, values.AsSpan());
            for (int i = 0; i < values.Length; i++) destination[i] = values[i];
        }

        public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
        {
            bytes = _rows[row];
            return true;
        }

        private static byte[] Pattern(int seed, int length)
        {
            var bytes = new byte[length];
            new Random(seed).NextBytes(bytes);
            for (int i = 0; i < length; i++) bytes[i] &= 0xBF;
            return bytes;
        }
    }
}
