using System.Numerics;
using System.Runtime.InteropServices;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Formats.Safetensors;
using Tare.Graphs.Weights;

namespace Tare.Conversion;

/// <summary>What became of one tensor.</summary>
/// <param name="Name">Its name in the output.</param>
/// <param name="From">Its type in the input.</param>
/// <param name="To">Its type in the output.</param>
/// <param name="Reason">Why it did not get the wanted type; null where it did.</param>
/// <param name="Elements">Number of elements.</param>
/// <param name="Bytes">Bytes in the output.</param>
public sealed record RequantizedTensor(string Name, TensorType From, TensorType To, string? Reason, long Elements, long Bytes);

/// <summary>Writes a GGUF file with its matrices in another type, from a GGUF file or a checkpoint folder.</summary>
public sealed class Requantization
{
    private const int RowsAtATime = 256;

    private readonly ModelFile _file;
    private readonly ModelToWrite _model;
    private readonly TypePolicy _policy;

    /// <summary>Plans the file. Throws <see cref="ModelFileException"/> where the input can't be written as GGUF or a tensor can't be decoded.</summary>
    public Requantization(ModelFile file, TypePolicy policy, VocabularyUse vocabulary = VocabularyUse.Required)
    {
        foreach (var type in new[] { policy.Type, policy.OutputType, policy.EmbeddingType }.OfType<TensorType>())
            if (!Types.Contains(type)) throw new ArgumentException($"{type} can't be written (can be: {string.Join(", ", Types)})");
        (_file, _policy, _model) = (file, policy, ModelToWrite.Of(file, vocabulary));
        bool ownOutput = _model.Tensors.Any(t => t.Name == "output.weight");
        Tensors = [.. _model.Tensors.Select(t => Plan(t, ownOutput))];
    }

    /// <summary>Types that can be written.</summary>
    public static IReadOnlyList<TensorType> Types => BlockEncoder.Types;

    /// <summary>What becomes of each tensor.</summary>
    public IReadOnlyList<RequantizedTensor> Tensors { get; }

    /// <summary>What a user should know about the result.</summary>
    public IReadOnlyList<string> Notes => _model.Notes;

    /// <summary>Writes the file with all threads; it appears whole or not at all. Throws <see cref="ModelFileException"/> for values that the type can't hold.</summary>
    public void Write(string path, IProgress<(long Done, long Total)>? progress = null, int? threads = null, CancellationToken cancel = default)
    {
        _file.RefuseToOverwrite(path);
        long done = 0, total = Tensors.Sum(t => t.Elements);
        var tensors = _model.Tensors.Zip(Tensors, (source, plan) => new TensorToWrite(source.Name, plan.To, source.Shape, stream =>
        {
            WriteRows(source, plan, stream, elements => progress?.Report((done += elements, total)), threads ?? Environment.ProcessorCount, cancel);
        }));
        GgufWriter.Write(path, Metadata(), [.. tensors], check: _model.Check);
    }

    private RequantizedTensor Plan(SourceTensor tensor, bool ownOutput)
    {
        var stored = tensor.Rows.Type;
        var (type, reason) = _policy.Choose(tensor.Name, tensor.Shape, stored, tensor.Rows.Width, _model.Architecture, ownOutput);
        if (type != stored || tensor.Rows is not MappedWeight) Leaf(tensor.Rows)?.EnsureDecodable();
        long elements = tensor.Rows.Rows * tensor.Rows.Width;
        return new(tensor.Name, stored, type, reason, elements, BlockFormats.TryGet(type, out var format) ? elements / format.ValuesPerBlock * format.BytesPerBlock : ((MappedWeight)tensor.Rows).Tensor.ByteLength);
    }

    private static MappedTensor? Leaf(Weight weight) => (weight as MappedWeight)?.Tensor;

    private static void WriteRows(SourceTensor source, RequantizedTensor plan, Stream stream, Action<long> report, int threads, CancellationToken cancel)
    {
        if (plan.From == plan.To && source.Rows is MappedWeight { Tensor: var stored })
        {
            stored.CopyRawTo(stream, cancel);
            report(plan.Elements);
            return;
        }
        // A transpose keeps its result; this one is gone with the tensor.
        var rows = source.Rows is TransposeWeight transpose ? new TransposeWeight(transpose.Source, transpose.Blocks) : source.Rows;
        rows.Prepare(cancel);
        _ = BlockFormats.TryGet(plan.To, out var format);
        int width = rows.Width, rowBytes = width / format!.ValuesPerBlock * format.BytesPerBlock;
        var bytes = new byte[RowsAtATime * rowBytes];
        for (long first = 0; first < rows.Rows; first += RowsAtATime)
        {
            int count = (int)Math.Min(RowsAtATime, rows.Rows - first);
            var options = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancel };
            try
            {
                Parallel.For(0, count, options, () => new float[width], (r, _, row) =>
                {
                    rows.Read(first + r, 1, row);
                    Check(source.Name, plan, first + r, row);
                    BlockEncoder.Encode(plan.To, row, bytes.AsSpan(r * rowBytes, rowBytes));
                    return row;
                }, _ => { });
            }
            catch (AggregateException e) when (e.InnerException is ModelFileException inner)
            {
                throw inner;
            }
            stream.Write(bytes, 0, count * rowBytes);
            report((long)count * width);
        }
    }

    // A block with one NaN or infinity is lost as a whole, and so are values beyond F16.
    private static void Check(string name, RequantizedTensor plan, long row, ReadOnlySpan<float> values)
    {
        if (plan.To is TensorType.F32 or TensorType.BF16) return;
        float largest = Largest(values);
        if (!float.IsFinite(largest)) throw new ModelFileException(name, $"row {row} holds {(float.IsNaN(largest) ? "NaN" : "an infinity")}, which {plan.To} can't store");
        if (plan.To == TensorType.F16 && MathF.Abs(largest) >= 65520) throw new ModelFileException(name, $"row {row} holds {largest}, which is beyond F16 (BF16 and F32 can store it)");
    }

    // The largest magnitude; as integers, so that NaN counts as larger than infinity.
    private static float Largest(ReadOnlySpan<float> values)
    {
        var lanes = Vector<int>.Zero;
        var vectors = MemoryMarshal.Cast<float, Vector<int>>(values);
        foreach (var v in vectors) lanes = Vector.Max(lanes, v & new Vector<int>(int.MaxValue));
        int largest = 0;
        for (int i = 0; i < Vector<int>.Count; i++) largest = Math.Max(largest, lanes[i]);
        foreach (float v in values[(vectors.Length * Vector<int>.Count)..]) largest = Math.Max(largest, BitConverter.SingleToInt32Bits(v) & int.MaxValue);
        return BitConverter.Int32BitsToSingle(largest);
    }

    private List<(string, GgufValueType, object)> Metadata()
    {
        // The numbers of llama.cpp's llama_ftype.
        uint number = _policy.Type switch
        {
            TensorType.F32 => 0u,
            TensorType.F16 => 1,
            TensorType.Q4_0 => 2,
            TensorType.Q4_1 => 3,
            TensorType.Q8_0 => 7,
            TensorType.Q5_0 => 8,
            TensorType.Q5_1 => 9,
            TensorType.Q4_K => 14,
            TensorType.Q5_K => 16,
            TensorType.Q6_K => 18,
            TensorType.IQ4_NL => 25,
            TensorType.BF16 => 32,
            TensorType.MXFP4 => 38,
            var other => throw new ArgumentOutOfRangeException(nameof(_policy), other, "has no file type"),
        };
        return [.. _model.Metadata, ("general.file_type", GgufValueType.UInt32, number), ("general.quantization_version", GgufValueType.UInt32, 2u)];
    }
}
