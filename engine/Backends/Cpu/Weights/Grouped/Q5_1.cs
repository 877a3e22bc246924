using System.Buffers.Binary;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q5_1 as grouped integers.</summary>
internal readonly struct GroupedQ5_1 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q5_1;

    public static int Group => 32;

    public static bool IsNibble => false;

    public static bool HasMinimum => true;

    public static ReadOnlySpan<float> Table => [];

    public static int NibbleCenter => -1;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        (scales[0], minimums[0]) = (F16.Read(block, 0), F16.Read(block, 2));
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        for (int i = 0; i < 16; i++)
        {
            codes[i] = (byte)((block[8 + i] & 15) | (int)(fifth >> i & 1) << 4);
            codes[i + 16] = (byte)((block[8 + i] >> 4) | (int)(fifth >> (i + 16) & 1) << 4);
        }
    }
}
