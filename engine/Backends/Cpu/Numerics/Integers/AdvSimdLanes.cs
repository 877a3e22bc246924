using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace Tare.Backends.Cpu.Numerics.Integers;

/// <summary>4 outputs a vector on ARM64: sdot in I32 where the processor has it, else smull in I16 and sadalp in I32. Other operations are what the portable ones compile to.</summary>
internal readonly unsafe struct AdvSimdLanes : IIntegerLanes<Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>
{
    public static bool IsSupported => AdvSimd.Arm64.IsSupported;

    public static int Count => 4;

    public static bool HasManyRegisters => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* codes) => PortableLanes.Load(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Low(Vector128<byte> codes) => PortableLanes.Low(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> High(Vector128<byte> codes) => PortableLanes.High(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Table(sbyte* values) => PortableLanes.Table(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LookUp(Vector128<byte> table, Vector128<byte> index) => AdvSimd.Arm64.VectorTableLookup(table, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Even(Vector128<byte> codes) => PortableLanes.Even(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Odd(Vector128<byte> codes) => PortableLanes.Odd(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> codes, byte* target) => PortableLanes.Store(codes, target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ByteOf(Vector128<byte> codes, int index) => PortableLanes.ByteOf(codes, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> AddBytes(Vector128<byte> codes, int bias) => PortableLanes.AddBytes(codes, bias);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Start(int* pair, int shift) => PortableLanes.Start(pair, shift);

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
    public static Vector128<int> Add(Vector128<int> a, Vector128<int> b) => PortableLanes.Add(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Add(Vector128<float> a, Vector128<float> b) => PortableLanes.Add(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ToSingle(Vector128<int> sums) => PortableLanes.ToSingle(sums);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Scale(Vector128<int> sums, Vector128<int> scales) => PortableLanes.Scale(sums, scales);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> LoadScales(sbyte* values) => AdvSimd.SignExtendWideningLower(AdvSimd.SignExtendWideningLower(Vector64.CreateScalar(*(int*)values).AsSByte()).GetLower());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> LoadScales(int* values) => PortableLanes.LoadScales(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<int> values, int* target) => PortableLanes.Store(values, target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(float* values) => PortableLanes.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> values, float* target) => PortableLanes.Store(values, target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadHalfs(ushort* values) => PortableLanes.LoadHalfs(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadBytes(sbyte* values) => Vector128.ConvertToSingle(LoadScales(values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadPowers(byte* exponents) => PortableLanes.LoadPowers(exponents);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => PortableLanes.Multiply(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> All(float value) => PortableLanes.All(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, float factor) => PortableLanes.Multiply(a, factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, float* b) => PortableLanes.Multiply(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) => PortableLanes.MultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, float* b, Vector128<float> c) => PortableLanes.MultiplyAdd(a, b, c);
}
