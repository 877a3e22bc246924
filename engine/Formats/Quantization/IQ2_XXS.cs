using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>Eight weights a grid row, signs in seven bits, scale in four a 32: <c>0:2 d</c>, then eight records of four indices and a u32.</summary>
internal readonly struct IQ2_XXS : IBlockLayout
{
    public static TensorType Type => TensorType.IQ2_XXS;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 66;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        for (int group = 0; group < 32; group++)
        {
            var record = block.Slice(2 + 8 * (group / 4), 8);
            uint u = BinaryPrimitives.ReadUInt32LittleEndian(record[4..]);
            float scale = d * (0.5f + (u >> 28)) * 0.25f;
            Codebooks.Store(Codebooks.Iq2Xxs, 8 * record[group % 4], Codebooks.Signs[(int)(u >> 7 * (group % 4) & 127)], scale, weights.Slice(8 * group, 8));
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
