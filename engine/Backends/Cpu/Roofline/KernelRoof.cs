using System.Runtime.InteropServices;
using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Weights;
using Tare.Backends.Cpu.Weights.Grouped;
using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Graphs.Weights;
using Tare.Rewrites;

namespace Tare.Backends.Cpu.Roofline;

/// <summary>How fast the product kernels run on weights that lie in the cache.</summary>
/// <param name="Type">Stored type.</param>
/// <param name="Arithmetic">f32 (exact), int8 or int16 (fast).</param>
/// <param name="Rows">Rows of activations: 1 as in decoding, 8 as in reading a prompt.</param>
/// <param name="Operations">10⁹ multiplications and additions a second of all threads.</param>
/// <param name="Share">Share of the roof of its arithmetic.</param>
/// <param name="StoredGigabytes">10⁹ stored bytes a second that this consumes: above the read bandwidth, memory is the limit.</param>
public sealed record KernelRoof(TensorType Type, string Arithmetic, int Rows, double Operations, double Share, double StoredGigabytes)
{
    private const int Outputs = 64, Width = 1024;

    /// <summary>Types with kernels of their own.</summary>
    public static IReadOnlyList<TensorType> Types { get; } = [TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.Q4_0, TensorType.Q4_1, TensorType.Q5_0, TensorType.Q5_1, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K, TensorType.IQ4_NL, TensorType.MXFP4];

    /// <summary>Measures every type, arithmetic and number of rows against a roof.</summary>
    public static List<KernelRoof> Measure(MachineRoof roof, double seconds = 0.06, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        var results = new List<KernelRoof>();
        int done = 0;
        foreach (var type in Types)
        {
            var weight = new SampleRows(type);
            using var memory = new WeightMemory();
            var packed = PackedMatrix.Pack(weight, 1, roof.Threads, memory);
            foreach (int rows in new[] { 1, 8 })
            {
                results.Add(Of(roof, packed, weight, "f32", rows, roof.FloatOperations, seconds, cancel));
                if (!packed.TakesIntegers || !IntegerActivations.Applies(weight)) continue;
                if (packed.TakesBytes) results.Add(Of(roof, packed, weight, "int8", rows, roof.ByteOperations, seconds, cancel));
                results.Add(Of(roof, packed, weight, "int16", rows, roof.ShortOperations, seconds, cancel));
            }
            progress?.Report((++done, Types.Count));
        }
        return results;
    }

    private static KernelRoof Of(MachineRoof roof, PackedMatrix packed, SampleRows weight, string arithmetic, int rows, double limit, double seconds, CancellationToken cancel)
    {
        double perPass = 2.0 * rows * Outputs * Width;
        var buffers = new List<Buffers>();
        try
        {
            double rate = OnAllThreads.Rate(roof.Threads, seconds, _ =>
            {
                var buffer = new Buffers(packed, rows);
                buffers.Add(buffer);
                return () => buffer.Pass(arithmetic) * perPass;
            }, cancel) / 1e9;
            return new KernelRoof(weight.Type, arithmetic, rows, rate, limit > 0 ? rate / limit : 0, rate / perPass * weight.StoredBytes);
        }
        finally
        {
            foreach (var buffer in buffers) buffer.Dispose();
        }
    }

    /// <summary>Activations, outputs and scratch of one thread.</summary>
    private sealed unsafe class Buffers : IDisposable
    {
        private const int Passes = 16;

        private readonly PackedMatrix _packed;
        private readonly int _rows;
        private readonly NativeBuffer<float> _x, _y;
        private readonly NativeBuffer<byte> _scratch;
        private readonly NativeBuffer<nint> _pointers; // [2 · rows]: inputs, outputs

        public Buffers(PackedMatrix packed, int rows)
        {
            (_packed, _rows) = (packed, rows);
            (_x, _y) = (new NativeBuffer<float>(rows * Width), new NativeBuffer<float>(rows * Outputs));
            _scratch = new NativeBuffer<byte>(Math.Max(TiledProduct.ScratchBytes(packed, rows), IntegerProduct.ScratchBytes(packed, rows)));
            _pointers = new NativeBuffer<nint>(2 * rows);
            NativeMemory.Clear(_x.Pointer, (nuint)_x.Bytes);
            for (int r = 0; r < rows; r++) (_pointers.Pointer[r], _pointers.Pointer[rows + r]) = ((nint)(_x.Pointer + r * Width), (nint)(_y.Pointer + r * Outputs));
        }

        public int Pass(string arithmetic)
        {
            float** x = (float**)_pointers.Pointer, y = x + _rows;
            for (int i = 0; i < Passes; i++)
                if (arithmetic == "f32") TiledProduct.Run(_packed, 0, 0, _packed.Tiles, x, y, _rows, null, (float*)_scratch.Pointer);
                else IntegerProduct.Run(_packed, 0, _packed.Tiles, Integers(arithmetic == "int16"), _rows, _y.Pointer, _packed.Rows, null, (float*)_scratch.Pointer);
            return Passes;
        }

        private IntegerRows Integers(bool wide) => new((byte*)_x.Pointer, QuantizedRow.Stride(Width, wide), Width, wide);

        public void Dispose()
        {
            _x.Dispose();
            _y.Dispose();
            _scratch.Dispose();
            _pointers.Dispose();
        }
    }

    /// <summary>A stored matrix whose rows are all the same waves: no zero scales and no subnormal numbers, which would be slower or faster than weights are.</summary>
    private sealed record SampleRows(TensorType Stored) : Weight
    {
        private readonly byte[] _row = Encode(Stored);

        public long StoredBytes => Outputs * (long)_row.Length;

        public override long Rows => Outputs;

        public override int Width => KernelRoof.Width;

        public override TensorType Type => Stored;

        public override void Read(long firstRow, int count, Span<float> destination)
        {
            for (int i = 0; i < count * Width; i++) destination[i] = Value(i % Width);
        }

        public override void Read(long firstRow, int count, Span<double> destination)
        {
            for (int i = 0; i < count * Width; i++) destination[i] = Value(i % Width);
        }

        public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
        {
            bytes = _row;
            return true;
        }

        private static float Value(int column) => MathF.Sin(column);

        private static byte[] Encode(TensorType type)
        {
            _ = BlockFormats.TryGet(type, out var format);
            var row = new byte[KernelRoof.Width / format!.ValuesPerBlock * format.BytesPerBlock];
            BlockEncoder.Encode(type, [.. Enumerable.Range(0, KernelRoof.Width).Select(Value)], row);
            return row;
        }
    }
}
