using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu.Caches;

/// <summary>Reads 16 stored elements as F32, exactly; a struct a type, so that kernels are compiled for each.</summary>
internal unsafe interface ICacheElements
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }

    /// <summary>16 elements; all of them are read.</summary>
    static abstract Vector512<float> Load(byte* source);
}

/// <summary>F32.</summary>
internal readonly unsafe struct SingleElements : ICacheElements
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source) => Vector512.Load((float*)source);
}

/// <summary>
/// Finite halves. Sign-extended and shifted into the fields of an F32, a half has its sign above its exponent, which is 112 too small once the copies of the sign are cleared: the product with 2¹¹² is exact, denormals included.
/// </summary>
internal readonly unsafe struct HalfElements : ICacheElements
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source)
    {
        var halves = Vector256.Load((short*)source);
        var bits = Avx512F.IsSupported ? Avx512F.ConvertToVector512Int32(halves) : Vector512.Create(Vector256.WidenLower(halves), Vector256.WidenUpper(halves));
        return ((bits << 13) & Vector512.Create(unchecked((int)0x8FFFE000))).AsSingle() * Vector512.Create(5.192296858534828e33f);
    }
}

/// <summary>The codes of Q8_0 without their scales.</summary>
internal readonly unsafe struct CodeElements : ICacheElements
{
    public static int Size => sizeof(sbyte);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source)
    {
        var codes = Vector128.Load((sbyte*)source);
        if (Avx512F.IsSupported) return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(codes));
        Vector128<short> lower = Vector128.WidenLower(codes), upper = Vector128.WidenUpper(codes);
        return Vector512.ConvertToSingle(Vector512.Create(
            Vector256.Create(Vector128.WidenLower(lower), Vector128.WidenUpper(lower)), Vector256.Create(Vector128.WidenLower(upper), Vector128.WidenUpper(upper))));
    }
}
