using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Tare.Formats.Quantization;

/// <summary>IEEE single precision, little-endian.</summary>
internal sealed class F32() : BlockFormat(TensorType.F32, 1, 4)
{
    protected override void DecodeFast(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        if (BitConverter.IsLittleEndian) blocks.CopyTo(MemoryMarshal.AsBytes(values));
        else DecodeEach(blocks, values);
    }

    protected override void DecodeEach(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadSingleLittleEndian(blocks[(4 * i)..]);
    }
}
