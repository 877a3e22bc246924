using System.Runtime.InteropServices;
using Tare.Formats;
using Tare.Formats.Safetensors;

namespace Tare.Capture.Running;

/// <summary>Collects whole rows of each site, with their labels, up to a number of rows; a chunk that is full goes to a callback. Memory is that of one chunk.</summary>
public sealed class RowsSink : ICaptureSink
{
    private readonly (string Name, int Output, int Width)[] _sites;
    private readonly Action<long, RowsSink> _finished;
    private readonly float[][] _values; // [sites][chunk rows, width]
    private readonly List<RowLabel> _labels = [];
    private readonly int _chunkRows;
    private long _id = -1;

    /// <summary>For the row outputs of a capture.</summary>
    public RowsSink(CaptureGraph capture, int chunkRows, Action<long, RowsSink> finished)
    {
        (_finished, _chunkRows) = (finished, chunkRows);
        _sites = [.. capture.Outputs.Select((o, i) => (o.Site.Name, i, o.Width, o.Level)).Where(o => o.Level == CaptureLevel.Rows).Select(o => (o.Name, o.i, o.Width))];
        _values = [.. _sites.Select(s => new float[checked(chunkRows * s.Width)])];
    }

    /// <inheritdoc/>
    public void Write(CaptureBlock block)
    {
        for (int r = 0; r < block.Rows; r++)
        {
            long id = block.Labels[r].Row / _chunkRows;
            if (id != _id) End();
            _id = id;
            for (int s = 0; s < _sites.Length; s++) block.Row(_sites[s].Output, r).CopyTo(_values[s].AsSpan(_labels.Count * _sites[s].Width));
            _labels.Add(block.Labels[r]);
        }
    }

    /// <inheritdoc/>
    public void Missing(long sequence, int firstPosition, int count) { }

    /// <inheritdoc/>
    public void Complete() => End();

    /// <summary>Writes the chunk: a tensor [rows, width] a site, and the labels <c>row</c>, <c>sequence</c> I64, <c>position</c>, <c>token_id</c> I32, <c>phase</c> U8 (0 prompt, 1 generated).</summary>
    public void WriteFile(string path, TensorType type, IReadOnlyDictionary<string, string> metadata)
    {
        int rows = _labels.Count;
        var tensors = new List<TensorToWrite>
        {
            Column("row", TensorType.I64, l => BitConverter.GetBytes(l.Row)), Column("sequence", TensorType.I64, l => BitConverter.GetBytes(l.Sequence)), Column("position", TensorType.I32, l => BitConverter.GetBytes(l.Position)),
            Column("token_id", TensorType.I32, l => BitConverter.GetBytes(l.Token)), Column("phase", TensorType.U8, l => [(byte)l.Phase]),
        };
        for (int s = 0; s < _sites.Length; s++)
        {
            int site = s;
            tensors.Add(new TensorToWrite(_sites[s].Name, type, [rows, _sites[s].Width], stream => Write(stream, _values[site].AsSpan(0, rows * _sites[site].Width), type)));
        }
        SafetensorsWriter.Write(path, tensors, metadata);

        TensorToWrite Column(string name, TensorType kind, Func<RowLabel, byte[]> bytes) => new(name, kind, [rows], stream =>
        {
            foreach (var label in _labels) stream.Write(bytes(label));
        });
    }

    private static void Write(Stream stream, ReadOnlySpan<float> values, TensorType type)
    {
        if (type == TensorType.F32)
        {
            stream.Write(MemoryMarshal.AsBytes(values));
            return;
        }
        var half = new ushort[values.Length];
        for (int i = 0; i < half.Length; i++) half[i] = RoundToBF16(values[i]);
        stream.Write(MemoryMarshal.AsBytes<ushort>(half));
    }

    // Round to nearest even; NaN stays NaN.
    private static ushort RoundToBF16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)(bits >> 16 | 0x40) : (ushort)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }

    private void End()
    {
        if (_labels.Count == 0) return;
        _finished(_id, this);
        _labels.Clear();
    }
}
