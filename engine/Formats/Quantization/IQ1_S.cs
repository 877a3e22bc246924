using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>Grid entries −1, 0, 1 shifted by ±1/8: <c>0:2 d</c>, <c>2:34 q</c>, <c>34:50 h u16[8]</c>.</summary>
internal readonly struct IQ1_S : IBlockLayout
{
    public static TensorType Type => TensorType.IQ1_S;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 50;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        for (int group = 0; group < 32; group++)
        {
            int h = BinaryPrimitives.ReadUInt16LittleEndian(block[(34 + 2 * (group / 4))..]);
            int index = block[2 + group] | (h >> 3 * (group % 4) & 7) << 8;
            float shift = (h & 0x8000) != 0 ? -0.125f : 0.125f, scale = d * (2 * (h >> 12 & 7) + 1);
            for (int i = 0; i < 8; i++) weights[8 * group + i] = scale * ((sbyte)Codebooks.Iq1[8 * index + i] + shift);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
