using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>Four weights a grid row, signs in seven bits: <c>0:2 d</c>, <c>2:66 q</c>, <c>66:98 u u32[8]</c>.</summary>
internal readonly struct IQ3_XXS : IBlockLayout
{
    public static TensorType Type => TensorType.IQ3_XXS;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 98;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        for (int group = 0; group < 32; group++)
        {
            uint u = BinaryPrimitives.ReadUInt32LittleEndian(block[(66 + 4 * (group / 4))..]);
            float scale = d * (0.5f + (u >> 28)) * 0.5f;
            int signs = Codebooks.Signs[(int)(u >> 7 * (group % 4) & 127)];
            Codebooks.Store(Codebooks.Iq3Xxs, 4 * block[2 + 2 * group], signs, scale, weights.Slice(8 * group, 4));
            Codebooks.Store(Codebooks.Iq3Xxs, 4 * block[3 + 2 * group], signs >> 4, scale, weights.Slice(8 * group + 4, 4));
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
