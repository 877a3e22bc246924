using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Numerics.Integers;

/// <summary>4 outputs a vector on ARM64: sdot in I32 where the processor has it, else smull in I16 and sadalp in I32.</summary>
internal readonly unsafe struct AdvSimdLanes : IIntegerLanes<Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>
{
    public static bool IsSupported => AdvSimd.Arm64.IsSupported;

    public static int Count => 4;

    public static bool HasManyRegisters => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* codes) => Vector128.Load(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Low(Vector128<byte> codes) => codes & Vector128.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> High(Vector128<byte> codes) => codes >>> 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Table(sbyte* values) => Vector128.Load(values).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LookUp(Vector128<byte> table, Vector128<byte> index) => AdvSimd.Arm64.VectorTableLookup(table, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Even(Vector128<byte> codes) => (codes.AsInt16() << 8 >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Odd(Vector128<byte> codes) => (codes.AsInt16() >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> codes, byte* target) => codes.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> AddBytes(Vector128<byte> codes, int bias) => codes + Vector128.Create((byte)bias);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Start(int* pair, int shift) => Vector128.Create((short)*pair + (*pair >> 16) << shift);

    // Codes of at most 63 are the same as signed bytes, and sums of two products stay below 2¹⁵.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> MultiplyBytes(Vector128<int> sum, Vector128<byte> codes, sbyte* four)
    {
        Vector128<sbyte> a = codes.AsSByte(), b = Vector128.Create(*(int*)four).AsSByte();
        return Dp.IsSupported
            ? Dp.DotProduct(sum, a, b)
            : AdvSimd.AddPairwiseWideningAndAdd(sum, AdvSimd.Arm64.AddPairwise(AdvSimd.MultiplyWideningLower(a.GetLower(), b.GetLower()), AdvSimd.MultiplyWideningUpper(a, b)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> MultiplyShorts(Vector128<int> sum, Vector128<byte> shorts, short* two)
    {
        Vector128<short> a = shorts.AsInt16(), b = Vector128.Create(*(int*)two).AsInt16();
        return sum + AdvSimd.Arm64.AddPairwise(AdvSimd.MultiplyWideningLower(a.GetLower(), b.GetLower()), AdvSimd.MultiplyWideningUpper(a, b));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Add(Vector128<int> a, Vector128<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ToSingle(Vector128<int> sums) => Vector128.ConvertToSingle(sums);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Scale(Vector128<int> sums, Vector128<int> scales) => sums * scales;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> LoadScales(sbyte* values) => AdvSimd.SignExtendWideningLower(AdvSimd.SignExtendWideningLower(Vector64.CreateScalar(*(int*)values).AsSByte()).GetLower());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> LoadScales(int* values) => Vector128.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<int> values, int* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(float* values) => Vector128.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> values, float* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadHalfs(ushort* values) => Vector128.Create(F16.ToSingle(values[0]), F16.ToSingle(values[1]), F16.ToSingle(values[2]), F16.ToSingle(values[3]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadBytes(sbyte* values) => Vector128.ConvertToSingle(LoadScales(values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadPowers(byte* exponents)
    {
        var e = AdvSimd.ZeroExtendWideningLower(AdvSimd.ZeroExtendWideningLower(Vector64.CreateScalar(*(int*)exponents).AsByte()).GetLower()).AsInt32();
        return Vector128.ConditionalSelect(Vector128.LessThan(e, Vector128.Create(2)), (e + Vector128<int>.One) << 21, (e - Vector128<int>.One) << 23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> All(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, float factor) => a * Vector128.Create(factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, float* b) => a * Vector128.Create(*b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) => Vector128.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, float* b, Vector128<float> c) => Vector128.FusedMultiplyAdd(a, Vector128.Create(*b), c);
}
