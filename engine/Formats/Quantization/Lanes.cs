using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>
/// The shared step of the vector decoders: sixteen small integers become sixteen weights. Each format only unpacks its bits into sixteen bytes.
/// </summary>
/// <remarks>Product and sum stay two operations, as in the plain decoders. Callers keep <c>offset + 16</c> within the spans: the loads and stores are unchecked.</remarks>
internal static class Lanes
{
    /// <summary>The low four bits of every byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LowNibbles(Vector128<byte> packed) => packed & Vector128.Create((byte)15);

    /// <summary>The high four bits of every byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> HighNibbles(Vector128<byte> packed) => packed >>> 4;

    /// <summary>Bits 0…15 of <paramref name="bits"/> as sixteen bytes, each <paramref name="value"/> where its bit is set and 0 elsewhere.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Spread(uint bits, byte value)
    {
        var spread = Vector128.Create(
            Vector64.Create((byte)bits),
            Vector64.Create((byte)(bits >> 8)));
        var each = Vector128.Create(0x8040201008040201UL).AsByte();
        return Vector128.Equals(spread & each, each) & Vector128.Create(value);
    }

    /// <summary>Bytes <paramref name="offset"/> … offset + 15 of a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(ReadOnlySpan<byte> block, int offset) => Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(block), (nuint)offset);

    /// <summary>weights[offset + i] = scale · integers[i] for sixteen i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<sbyte> integers, float scale, Span<float> weights, int offset)
    {
        ref float target = ref Unsafe.Add(ref MemoryMarshal.GetReference(weights), offset);
        if (Vector512.IsHardwareAccelerated)
        {
            var wide = Vector512.WidenLower(Vector256.WidenLower(integers.ToVector256Unsafe()).ToVector512Unsafe());
            (Vector512.ConvertToSingle(wide) * scale).StoreUnsafe(ref target);
        }
        else
        {
            var wide = Vector256.WidenLower(integers.ToVector256Unsafe());
            (Vector256.ConvertToSingle(Vector256.WidenLower(wide)) * scale).StoreUnsafe(ref target);
            (Vector256.ConvertToSingle(Vector256.WidenUpper(wide)) * scale).StoreUnsafe(ref target, 8);
        }
    }

    /// <summary>weights[offset + i] = (scale · integers[i]) + minimum for sixteen i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> integers, float scale, float minimum, Span<float> weights, int offset)
    {
        ref float target = ref Unsafe.Add(ref MemoryMarshal.GetReference(weights), offset);
        if (Vector512.IsHardwareAccelerated)
        {
            var wide = Vector512.WidenLower(Vector256.WidenLower(integers.ToVector256Unsafe()).ToVector512Unsafe());
            (Vector512.ConvertToSingle(wide.AsInt32()) * scale + Vector512.Create(minimum)).StoreUnsafe(ref target);
        }
        else
        {
            var wide = Vector256.WidenLower(integers.ToVector256Unsafe());
            var low = Vector256.ConvertToSingle(Vector256.WidenLower(wide).AsInt32()) * scale;
            var high = Vector256.ConvertToSingle(Vector256.WidenUpper(wide).AsInt32()) * scale;
            (low + Vector256.Create(minimum)).StoreUnsafe(ref target);
            (high + Vector256.Create(minimum)).StoreUnsafe(ref target, 8);
        }
    }
}
