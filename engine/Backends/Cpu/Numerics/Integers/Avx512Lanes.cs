using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Numerics.Integers;

/// <summary>16 outputs a vector with AVX-512BW: vpmaddubsw in I16, vpmaddwd in I32. Its 32 registers hold four rows and two tiles.</summary>
internal readonly unsafe struct Avx512Lanes : IIntegerLanes<Vector512<byte>, Vector512<short>, Vector512<int>, Vector512<float>>
{
    public static bool IsSupported => Avx512BW.IsSupported;

    public static int Count => 16;

    public static bool HasManyRegisters => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Load(byte* codes) => Vector512.Load(codes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Low(Vector512<byte> codes) => codes & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> High(Vector512<byte> codes) => (codes.AsUInt16() >>> 4).AsByte() & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Table(sbyte* values) => Avx512F.BroadcastVector128ToVector512((int*)values).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LookUp(Vector512<byte> table, Vector512<byte> index) => Avx512BW.Shuffle(table, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Even(Vector512<byte> codes) => (codes.AsInt16() << 8 >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Odd(Vector512<byte> codes) => (codes.AsInt16() >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<byte> codes, byte* target) => codes.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ByteOf(Vector512<byte> codes, int index) => Vector512.ConvertToSingle(codes.AsInt32() << (24 - 8 * index) >> 24);

    public static bool HoldsTable => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> EntryOf(Vector512<float> table, Vector512<byte> codes, int index) => Avx512F.PermuteVar16x32(table, codes.AsInt32() >>> (8 * index));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> AddBytes(Vector512<byte> codes, int bias) => codes + Vector512.Create((byte)bias);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Start(int* pair, int shift) => shift == 0 ? Vector512.Create(*pair).AsInt16() : Vector512.Create(*pair).AsInt16() << shift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> MultiplyBytes(Vector512<short> sum, Vector512<byte> codes, sbyte* four) => sum + Avx512BW.MultiplyAddAdjacent(codes, Vector512.Create(*(int*)four).AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> MultiplyShorts(Vector512<int> sum, Vector512<byte> shorts, short* two) => sum + Avx512BW.MultiplyAddAdjacent(shorts.AsInt16(), Vector512.Create(*(int*)two).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Add(Vector512<int> a, Vector512<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Add(Vector512<short> a, Vector512<short> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ToSingle(Vector512<short> sums) => Vector512.ConvertToSingle(Avx512BW.MultiplyAddAdjacent(sums, Vector512<short>.One));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Scale(Vector512<short> sums, Vector512<int> scales) => Avx512BW.MultiplyAddAdjacent(sums, scales.AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> LoadScales(sbyte* values)
    {
        var scales = Avx512F.ConvertToVector512Int32(Vector128.Load(values));
        return (scales & Vector512.Create(0xFFFF)) | scales << 16; // twice, for both sums of a lane
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> LoadScales(int* values) => Vector512.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<int> values, int* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ToSingle(Vector512<int> sums) => Vector512.ConvertToSingle(sums);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* values) => Vector512.Load(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, float* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadHalfs(ushort* values) => F16.ToSingle(Avx512F.ConvertToVector512UInt32(Vector256.Load(values)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadBytes(sbyte* values) => Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(values)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadPowers(byte* exponents)
    {
        var e = Avx512F.ConvertToVector512Int32(Vector128.Load(exponents));
        return Vector512.ConditionalSelect(Vector512.LessThan(e, Vector512.Create(2)), (e + Vector512<int>.One) << 21, (e - Vector512<int>.One) << 23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> All(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, float factor) => a * Vector512.Create(factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, float* b) => a * All(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) => Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, float* b, Vector512<float> c) => Vector512.FusedMultiplyAdd(a, All(b), c);

    // Through an integer: that becomes one broadcast from memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> All(float* value) => Vector512.Create(*(int*)value).AsSingle();
}
