using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>The upper half of an F32.</summary>
internal sealed class BF16() : BlockFormat(TensorType.BF16, 1, 2)
{
    /// <summary>Widens one value; exact for every pattern.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

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
            var (low, high) = Vector256.Widen(Vector256.LoadUnsafe(ref source, (nuint)i));
            (low << 16).AsSingle().StoreUnsafe(ref target, (nuint)i);
            (high << 16).AsSingle().StoreUnsafe(ref target, (nuint)i + 8);
        }

        DecodeEach(blocks[(2 * i)..], values[i..]);
    }

    protected override void DecodeEach(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++) values[i] = ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(blocks[(2 * i)..]));
    }
}
