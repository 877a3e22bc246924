using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>IQ4_NL: the extreme value goes near either end of the table; the scale is fitted to the entries by least squares, errors weighing x².</summary>
internal static class IQ4_NLEncoder
{
    private const int Trials = 7;

    // [256]: the entry nearest to −128 … 127.
    private static readonly byte[] Nearest = [.. Enumerable.Range(-128, 256).Select(v => (byte)Index(v))];

    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        float extreme = PlainScales.Extreme(values), scale = 0;
        if (MathF.Abs(extreme) > ScaleSearch.Tiny) scale = Search(values, extreme);
        var stored = (Half)scale;
        float inverse = PlainScales.Inverse((float)stored);
        BinaryPrimitives.WriteHalfLittleEndian(block, stored);
        for (int i = 0; i < 16; i++) block[2 + i] = (byte)(Index(values[i] * inverse) | Index(values[i + 16] * inverse) << 4);
    }

    private static float Search(ReadOnlySpan<float> values, float extreme)
    {
        double best = -1;
        float scale = 0;
        var table = Codebooks.Iq4;
        foreach (int end in new[] { (sbyte)table[0], (sbyte)table[15] })
            for (int trial = -Trials; trial <= Trials; trial++)
            {
                float inverse = (end + trial) / extreme;
                double xq = 0, qq = 0;
                foreach (float x in values)
                {
                    double q = (sbyte)table[Nearest[Math.Clamp((int)MathF.Round(x * inverse), -128, 127) + 128]], w = x * x;
                    (xq, qq) = (xq + w * x * q, qq + w * q * q);
                }
                if (qq > 0 && xq * xq / qq > best) (best, scale) = (xq * xq / qq, (float)(xq / qq));
            }
        return scale;
    }

    private static int Index(float value)
    {
        var table = Codebooks.Iq4;
        int index = 0;
        while (index < 15 && value - (sbyte)table[index] > (sbyte)table[index + 1] - value) index++;
        return index;
    }
}
