using System.Runtime.CompilerServices;

namespace Tare.Formats.Quantization;

/// <summary>The twelve bytes of Q4_K and Q5_K that hold eight six-bit scales and eight six-bit minima, one pair for each 32 weights.</summary>
internal static class SixBitPairs
{
    /// <summary>Scale and minimum of the <paramref name="group"/>th 32 weights; <paramref name="bytes"/> [12].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int Scale, int Minimum) Read(ReadOnlySpan<byte> bytes, int group)
        => group < 4
            ? (bytes[group] & 63, bytes[group + 4] & 63)
            : ((bytes[group + 4] & 15) | bytes[group - 4] >> 6 << 4, bytes[group + 4] >> 4 | bytes[group] >> 6 << 4);

    /// <summary>The inverse: eight scales and eight minima below 64 into <paramref name="bytes"/> [12].</summary>
    public static void Write(Span<byte> bytes, ReadOnlySpan<byte> scales, ReadOnlySpan<byte> minima)
    {
        for (int j = 0; j < 4; j++)
        {
            bytes[j] = (byte)(scales[j] | scales[j + 4] >> 4 << 6);
            bytes[j + 4] = (byte)(minima[j] | minima[j + 4] >> 4 << 6);
            bytes[j + 8] = (byte)(scales[j + 4] & 15 | (minima[j + 4] & 15) << 4);
        }
    }
}
