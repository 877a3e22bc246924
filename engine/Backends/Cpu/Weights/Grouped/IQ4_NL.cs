using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>IQ4_NL as grouped integers.</summary>
internal readonly unsafe struct GroupedIQ4_NL : IGroupedIntegers
{
    private static readonly float[] Codes = [.. Codebooks.Iq4.ToArray().Select(v => (float)(sbyte)v)];

    public static TensorType Type => TensorType.IQ4_NL;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => false;

    public static ScaleForm Scales => ScaleForm.Half;

    public static ReadOnlySpan<float> Table => Codes;

    public static int Bias => 0;

    public static int Center => -1;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Scales[0] = *(ushort*)block;
        Vector128.Load(block + 2).Store(codes);
    }
}
