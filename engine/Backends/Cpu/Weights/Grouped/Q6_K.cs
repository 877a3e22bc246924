using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q6_K as grouped integers.</summary>
internal readonly struct GroupedQ6_K : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q6_K;

    public static int Group => 16;

    public static bool IsNibble => false;

    public static bool HasMinimum => false;

    public static ReadOnlySpan<float> Table => [];

    public static int NibbleCenter => -1;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        float d = F16.Read(block, 208);
        for (int group = 0; group < 16; group++) scales[group] = d * (sbyte)block[192 + group];
        for (int i = 0; i < 256; i++)
        {
            int low = block[64 * (i / 128) + i % 64] >> 4 * (i / 64 % 2) & 15, high = block[128 + 32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3;
            codes[i] = (byte)((low | high << 4) - 32);
        }
    }
}
