using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>As IQ1_S, but the scale's sixteen bits are the top nibbles of four words: <c>0:32 q</c>, <c>32:48 h</c>, <c>48:56 s u16[4]</c>.</summary>
internal readonly struct IQ1_M : IBlockLayout
{
    public static TensorType Type => TensorType.IQ1_M;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 56;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        int bits = 0;
        for (int k = 0; k < 4; k++) bits |= block[49 + 2 * k] >> 4 << 4 * k;
        float d = F16.ToSingle((ushort)bits);
        for (int group = 0; group < 32; group++)
        {
            int h = block[32 + group / 2] >> 4 * (group % 2) & 15, sixteen = group / 2;
            int index = block[group] | (h & 7) << 8, s = BinaryPrimitives.ReadUInt16LittleEndian(block[(48 + 2 * (sixteen / 4))..]);
            float shift = (h & 8) != 0 ? -0.125f : 0.125f, scale = d * (2 * (s >> 3 * (sixteen % 4) & 7) + 1);
            for (int i = 0; i < 8; i++) weights[8 * group + i] = scale * ((sbyte)Codebooks.Iq1[8 * index + i] + shift);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
