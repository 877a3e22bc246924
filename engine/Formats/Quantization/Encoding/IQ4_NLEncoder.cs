using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>IQ4_NL: the extreme value goes near either end of the table; the scale is fitted to the entries by least squares, errors weighing x².</summary>
internal static class IQ4_NLEncoder
{
    private const int Trials = 7;

    // [15]: where the nearest entry changes, and by how much it does.
    private static readonly float[] Borders = [.. Enumerable.Range(0, 15).Select(i => (Entry(i) + Entry(i + 1)) / 2)], Steps = [.. Enumerable.Range(0, 15).Select(i => Entry(i + 1) - Entry(i))];

    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        float extreme = PlainScales.Extreme(values), scale = 0;
        if (MathF.Abs(extreme) > ScaleSearch.Tiny) scale = Search(Vector512.Create(values), Vector512.Create(values[16..]), extreme);
        var stored = (Half)scale;
        float inverse = PlainScales.Inverse((float)stored);
        BinaryPrimitives.WriteHalfLittleEndian(block, stored);
        for (int i = 0; i < 16; i++) block[2 + i] = (byte)(Index(values[i] * inverse) | Index(values[i + 16] * inverse) << 4);
    }

    private static float Search(Vector512<float> x0, Vector512<float> x1, float extreme)
    {
        float best = -1, scale = 0;
        // Relative to the extreme, so that no weight underflows.
        Vector512<float> u0 = x0 / extreme, u1 = x1 / extreme, w0 = u0 * u0, w1 = u1 * u1;
        foreach (float end in (ReadOnlySpan<float>)[Entry(0), Entry(15)])
            for (int trial = -Trials; trial <= Trials; trial++)
            {
                Vector512<float> q0 = Nearest(u0 * (end + trial)), q1 = Nearest(u1 * (end + trial)), wq0 = w0 * q0, wq1 = w1 * q1;
                float xq = ScaleSearch.Sum(wq0 * u0 + wq1 * u1), qq = ScaleSearch.Sum(wq0 * q0 + wq1 * q1);
                if (qq > 0 && xq * xq / qq > best) (best, scale) = (xq * xq / qq, xq / qq * extreme);
            }
        return scale;
    }

    private static Vector512<float> Nearest(Vector512<float> x)
    {
        var nearest = Vector512.Create(Entry(0));
        for (int i = 0; i < 15; i++) nearest += Vector512.GreaterThan(x, Vector512.Create(Borders[i])) & Vector512.Create(Steps[i]);
        return nearest;
    }

    private static float Entry(int index) => (sbyte)Codebooks.Iq4[index];

    private static int Index(float value)
    {
        int index = 0;
        while (index < 15 && value > Borders[index]) index++;
        return index;
    }
}
