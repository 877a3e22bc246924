using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>IEEE half precision: 5 exponent bits, 10 mantissa bits. Widening is exact for every pattern; the payload of a NaN survives.</summary>
internal sealed class F16() : BlockFormat(TensorType.F16, 1, 2)
{
    private const uint Infinity = 31u << 23;      // the exponent field of infinity and NaN, moved to its place in an F32
    private const uint Bias = (127u - 15u) << 23; // what the exponent fields of the two formats differ by

    /// <summary>Widens one half. Integer steps and one exact subtraction, so subnormals never meet a slow or flushing float unit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort half)
    {
        uint magnitude = (half & 0x7FFFu) << 13, exponent = magnitude & Infinity;
        uint bits = magnitude + Bias;
        if (exponent == Infinity) bits += Bias;
        else if (exponent == 0) bits = BitConverter.SingleToUInt32Bits(BitConverter.UInt32BitsToSingle(bits + (1u << 23)) - BitConverter.UInt32BitsToSingle(Bias + (1u << 23)));
        return BitConverter.UInt32BitsToSingle(bits | (half & 0x8000u) << 16);
    }

    /// <summary>Widens the half at <paramref name="offset"/> of a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(ReadOnlySpan<byte> block, int offset) => ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(block[offset..]));

    /// <summary>Widens eight halves, held in the low half of each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ToSingle(Vector256<uint> halves)
    {
        var magnitude = (halves & Vector256.Create(0x7FFFu)) << 13;
        var exponent = magnitude & Vector256.Create(Infinity);
        var bits = magnitude + Vector256.Create(Bias);
        var subnormal = ((bits + Vector256.Create(1u << 23)).AsSingle() - Vector256.Create(Bias + (1u << 23)).AsSingle()).AsUInt32();
        bits += Vector256.Equals(exponent, Vector256.Create(Infinity)) & Vector256.Create(Bias);
        bits = Vector256.ConditionalSelect(Vector256.Equals(exponent, Vector256<uint>.Zero), subnormal, bits);
        return (bits | (halves & Vector256.Create(0x8000u)) << 16).AsSingle();
    }

    /// <summary>Widens sixteen halves, held in the low half of each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ToSingle(Vector512<uint> halves)
    {
        var magnitude = (halves & Vector512.Create(0x7FFFu)) << 13;
        var exponent = magnitude & Vector512.Create(Infinity);
        var bits = magnitude + Vector512.Create(Bias);
        var subnormal = ((bits + Vector512.Create(1u << 23)).AsSingle() - Vector512.Create(Bias + (1u << 23)).AsSingle()).AsUInt32();
        bits += Vector512.Equals(exponent, Vector512.Create(Infinity)) & Vector512.Create(Bias);
        bits = Vector512.ConditionalSelect(Vector512.Equals(exponent, Vector512<uint>.Zero), subnormal, bits);
        return (bits | (halves & Vector512.Create(0x8000u)) << 16).AsSingle();
    }

    protected override void DecodeFast(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        if (!BitConverter.IsLittleEndian || !Vector256.IsHardwareAccelerated)
        {
            DecodeEach(blocks, values);
            return;
        }

        ref ushort source = ref Unsafe.As<byte, ushort>(ref MemoryMarshal.GetReference(blocks));
        ref float target = ref MemoryMarshal.GetReference(values);
        int i = 0;
        for (; i <= values.Length - 16; i += 16)
        {
            var halves = Vector256.LoadUnsafe(ref source, (nuint)i);
            if (Vector512.IsHardwareAccelerated)
            {
                ToSingle(Vector512.WidenLower(halves.ToVector512Unsafe())).StoreUnsafe(ref target, (nuint)i);
            }
            else
            {
                ToSingle(Vector256.WidenLower(halves)).StoreUnsafe(ref target, (nuint)i);
                ToSingle(Vector256.WidenUpper(halves)).StoreUnsafe(ref target, (nuint)i + 8);
            }
        }

        DecodeEach(blocks[(2 * i)..], values[i..]);
    }

    protected override void DecodeEach(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++) values[i] = Read(blocks, 2 * i);
    }
}
