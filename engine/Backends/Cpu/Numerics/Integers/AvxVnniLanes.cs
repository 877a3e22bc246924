using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Numerics.Integers;

/// <summary>8 outputs a vector with AVX-VNNI: vpdpbusd and vpdpwssd add up in I32.</summary>
internal readonly unsafe struct AvxVnniLanes : IIntegerLanes<Vector256<byte>, Vector256<int>, Vector256<int>, Vector256<float>>
{
    public static bool IsSupported => AvxVnni.IsSupported;

    public static int Count => 8;

    public static bool HasManyRegisters => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Load(byte* codes) => Vector256.Load(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Low(Vector256<byte> codes) => codes & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> High(Vector256<byte> codes) => (codes.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Table(sbyte* values) => Avx2.BroadcastVector128ToVector256((byte*)values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LookUp(Vector256<byte> table, Vector256<byte> index) => Avx2.Shuffle(table, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Even(Vector256<byte> codes) => (codes.AsInt16() << 8 >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Odd(Vector256<byte> codes) => (codes.AsInt16() >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<byte> codes, byte* target) => codes.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ByteOf(Vector256<byte> codes, int index) => Vector256.ConvertToSingle(codes.AsInt32() << (24 - 8 * index) >> 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> AddBytes(Vector256<byte> codes, int bias) => codes + Vector256.Create((byte)bias);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Start(int* pair, int shift) => Vector256.Create((short)*pair + (*pair >> 16) << shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> MultiplyBytes(Vector256<int> sum, Vector256<byte> codes, sbyte* four) => AvxVnni.MultiplyWideningAndAdd(sum, codes, Vector256.Create(*(int*)four).AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> MultiplyShorts(Vector256<int> sum, Vector256<byte> shorts, short* two) => AvxVnni.MultiplyWideningAndAdd(sum, shorts.AsInt16(), Vector256.Create(*(int*)two).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add(Vector256<int> a, Vector256<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ToSingle(Vector256<int> sums) => Vector256.ConvertToSingle(sums);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Scale(Vector256<int> sums, Vector256<int> scales) => sums * scales;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> LoadScales(sbyte* values) => Avx2.ConvertToVector256Int32(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> LoadScales(int* values) => Vector256.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<int> values, int* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* values) => Vector256.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> values, float* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadHalfs(ushort* values) => F16.ToSingle(Avx2.ConvertToVector256Int32(values).AsUInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadBytes(sbyte* values) => Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadPowers(byte* exponents)
    {
        var e = Avx2.ConvertToVector256Int32(exponents);
        return Vector256.ConditionalSelect(Vector256.LessThan(e, Vector256.Create(2)), (e + Vector256<int>.One) << 21, (e - Vector256<int>.One) << 23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> All(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, float factor) => a * Vector256.Create(factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, float* b) => a * All(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) => Vector256.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, float* b, Vector256<float> c) => Vector256.FusedMultiplyAdd(a, All(b), c);

    // Through an integer: that becomes one broadcast from memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> All(float* value) => Vector256.Create(*(int*)value).AsSingle();
}
