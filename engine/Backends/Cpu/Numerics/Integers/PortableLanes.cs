using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Numerics.Integers;

/// <summary>4 outputs a vector on any machine.</summary>
internal readonly unsafe struct PortableLanes : IIntegerLanes<Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>
{
    public static bool IsSupported => true;

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
    public static Vector128<byte> LookUp(Vector128<byte> table, Vector128<byte> index) => Vector128.Shuffle(table, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Even(Vector128<byte> codes) => (codes.AsInt16() << 8 >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Odd(Vector128<byte> codes) => (codes.AsInt16() >> 8).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> codes, byte* target) => codes.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ByteOf(Vector128<byte> codes, int index) => Vector128.ConvertToSingle(codes.AsInt32() << (24 - 8 * index) >> 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> AddBytes(Vector128<byte> codes, int bias) => codes + Vector128.Create((byte)bias);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Start(int* pair, int shift) => Vector128.Create((short)*pair + (*pair >> 16) << shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> MultiplyBytes(Vector128<int> sum, Vector128<byte> codes, sbyte* four) => MultiplyShorts(MultiplyShorts(sum, Even(codes), Pair(four[0], four[2])), Odd(codes), Pair(four[1], four[3]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> MultiplyShorts(Vector128<int> sum, Vector128<byte> shorts, short* two) => MultiplyShorts(sum, shorts, Vector128.Create(*(int*)two).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Add(Vector128<int> a, Vector128<int> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Add(Vector128<float> a, Vector128<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ToSingle(Vector128<int> sums) => Vector128.ConvertToSingle(sums);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Scale(Vector128<int> sums, Vector128<int> scales) => sums * scales;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> LoadScales(sbyte* values) => Vector128.Create((int)values[0], values[1], values[2], values[3]);

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
    public static Vector128<float> LoadBytes(sbyte* values) => Vector128.Create((float)values[0], values[1], values[2], values[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadPowers(byte* exponents)
    {
        var e = Vector128.Create((int)exponents[0], exponents[1], exponents[2], exponents[3]);
        return Vector128.ConditionalSelect(Vector128.LessThan(e, Vector128.Create(2)), (e + Vector128<int>.One) << 21, (e - Vector128<int>.One) << 23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> All(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, float factor) => a * Vector128.Create(factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, float* b) => a * All(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) => Vector128.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, float* b, Vector128<float> c) => Vector128.FusedMultiplyAdd(a, All(b), c);

    // Through an integer: that becomes one broadcast from memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> All(float* value) => Vector128.Create(*(int*)value).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> Pair(sbyte first, sbyte second) => Vector128.Create((first & 0xFFFF) | second << 16).AsInt16();

    // sum + a₀b₀ + a₁b₁ of neighboring I16.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> MultiplyShorts(Vector128<int> sum, Vector128<byte> a, Vector128<short> b)
        => sum + (a.AsInt32() << 16 >> 16) * (b.AsInt32() << 16 >> 16) + (a.AsInt32() >> 16) * (b.AsInt32() >> 16);
}
