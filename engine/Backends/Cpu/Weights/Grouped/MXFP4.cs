using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>MXFP4 as grouped integers.</summary>
internal readonly unsafe struct GroupedMXFP4 : IGroupedIntegers
{
    private static readonly float[] Codes = [.. Codebooks.Fp4.ToArray().Select(v => (float)(sbyte)v)];

    public static TensorType Type => TensorType.MXFP4;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => false;

    public static ScaleForm Scales => ScaleForm.Power;

    public static ReadOnlySpan<float> Table => Codes;

    public static int Bias => 0;

    public static int Center => -1;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Scales[0] = block[0];
        Vector128.Load(block + 1).Store(codes);
    }
}
