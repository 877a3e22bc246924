using System.Runtime.Intrinsics;
using Tare.Formats;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q4_0 as grouped integers.</summary>
internal readonly unsafe struct GroupedQ4_0 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q4_0;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => false;

    public static ScaleForm Scales => ScaleForm.Half;

    public static ReadOnlySpan<float> Table => CodeTables.Centered;

    public static int Bias => 0;

    public static int Center => 8;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Scales[0] = *(ushort*)block;
        Vector128.Load(block + 2).Store(codes);
    }
}
