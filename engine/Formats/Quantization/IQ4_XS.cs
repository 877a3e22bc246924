using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>Four bits through a table, six-bit scales a 32: <c>0:2 d</c>, <c>2:4 h u16</c>, <c>4:8 s</c>, <c>8:136 q</c>.</summary>
internal readonly struct IQ4_XS : IBlockLayout
{
    public static TensorType Type => TensorType.IQ4_XS;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 136;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        int h = BinaryPrimitives.ReadUInt16LittleEndian(block[2..]);
        var values = Codebooks.Iq4;
        for (int group = 0; group < 8; group++)
        {
            int c = block[4 + group / 2] >> 4 * (group % 2) & 15 | (h >> 2 * group & 3) << 4;
            float scale = d * (c - 32);
            for (int i = 0; i < 16; i++)
            {
                byte q = block[8 + 16 * group + i];
                weights[32 * group + i] = scale * (sbyte)values[q & 15];
                weights[32 * group + i + 16] = scale * (sbyte)values[q >> 4];
            }
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
