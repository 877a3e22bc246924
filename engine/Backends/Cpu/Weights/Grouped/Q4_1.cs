using System.Runtime.Intrinsics;
using Tare.Formats;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q4_1 as grouped integers.</summary>
internal readonly unsafe struct GroupedQ4_1 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q4_1;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => true;

    public static ScaleForm Scales => ScaleForm.Half;

    public static ReadOnlySpan<float> Table => CodeTables.Unsigned;

    public static int Bias => 0;

    public static int Center => 0;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Scales[0] = *(ushort*)block;
        scales.Minimums[0] = *(ushort*)(block + 2);
        Vector128.Load(block + 4).Store(codes);
    }
}
