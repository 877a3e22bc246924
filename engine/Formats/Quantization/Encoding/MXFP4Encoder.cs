namespace Tare.Formats.Quantization.Encoding;

/// <summary>MXFP4: the power of two by which the largest magnitude comes within the table (OCP Microscaling 1.0, section 6.3), or its neighbor where that is nearer.</summary>
internal static class MXFP4Encoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        block.Clear();
        float largest = MathF.Abs(PlainScales.Extreme(values));
        if (!(largest > 0)) return;
        int first = Math.Clamp((int)MathF.Floor(MathF.Log2(largest)) - 2 + 127, 0, 253);
        int exponent = Error(values, first + 1) < Error(values, first) ? first + 1 : first;
        float inverse = PlainScales.Inverse(Scale(exponent));
        block[0] = (byte)exponent;
        for (int i = 0; i < 16; i++) block[1 + i] = (byte)(Index(values[i] * inverse) | Index(values[i + 16] * inverse) << 4);
    }

    // 2^(exponent − 128), for a table of doubled values.
    private static float Scale(int exponent) => (float)Math.ScaleB(1, exponent - 128);

    private static double Error(ReadOnlySpan<float> values, int exponent)
    {
        float scale = Scale(exponent), inverse = PlainScales.Inverse(scale);
        double error = 0;
        foreach (float x in values)
        {
            double off = (sbyte)Codebooks.Fp4[Index(x * inverse)] * (double)scale - x;
            error += off * off;
        }
        return error;
    }

    // Bit 3 is the sign.
    private static int Index(float value)
    {
        float magnitude = MathF.Abs(value);
        int index = 0;
        while (index < 7 && magnitude - Codebooks.Fp4[index] > Codebooks.Fp4[index + 1] - magnitude) index++;
        return value < 0 && index > 0 ? index | 8 : index;
    }
}
