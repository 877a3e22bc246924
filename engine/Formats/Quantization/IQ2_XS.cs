using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>Nine-bit grid indices with seven sign bits, scales in four bits a 16: <c>0:2 d</c>, <c>2:66 q u16[32]</c>, <c>66:74 s</c>.</summary>
internal readonly struct IQ2_XS : IBlockLayout
{
    public static TensorType Type => TensorType.IQ2_XS;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 74;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        for (int group = 0; group < 32; group++)
        {
            int q = BinaryPrimitives.ReadUInt16LittleEndian(block[(2 + 2 * group)..]);
            float scale = d * (0.5f + (block[66 + group / 4] >> 4 * (group / 2 % 2) & 15)) * 0.25f;
            Codebooks.Store(Codebooks.Iq2Xs, 8 * (q & 511), Codebooks.Signs[q >> 9], scale, weights.Slice(8 * group, 8));
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
