using System.Runtime.Intrinsics;

namespace Tare.Backends.Cpu.Numerics.Integers;

/// <summary>
/// What the integer products need of an instruction set: vectors whose 32-bit lanes are outputs, each holding four neighboring codes of k. Sums of codes are exact, so every set gives the same bits; floats
/// are multiplied and added one rounding each, or fused, as the names say.
/// </summary>
/// <typeparam name="TCodes">4 bytes a lane.</typeparam>
/// <typeparam name="TNarrow">Sums of unsigned codes times signed bytes over 32 values of k, as one I32 or two I16 a lane.</typeparam>
/// <typeparam name="TSums">An I32 a lane.</typeparam>
/// <typeparam name="TFloats">An F32 a lane.</typeparam>
internal unsafe interface IIntegerLanes<TCodes, TNarrow, TSums, TFloats>
    where TCodes : struct where TNarrow : struct where TSums : struct where TFloats : struct
{
    /// <summary>Whether this processor has the instructions.</summary>
    static abstract bool IsSupported { get; }

    /// <summary>Outputs of a vector; divides 16.</summary>
    static abstract int Count { get; }

    /// <summary>Whether there are registers for products of four rows with two vectors of outputs.</summary>
    static abstract bool HasManyRegisters { get; }

    static abstract TCodes Load(byte* codes);

    /// <summary>The low half of each byte.</summary>
    static abstract TCodes Low(TCodes codes);

    /// <summary>The high half of each byte.</summary>
    static abstract TCodes High(TCodes codes);

    /// <summary>A table of 16 signed bytes, in the form that <see cref="LookUp"/> wants.</summary>
    static abstract TCodes Table(sbyte* values);

    /// <summary>The entry named by each byte (0 … 15).</summary>
    static abstract TCodes LookUp(TCodes table, TCodes index);

    /// <summary>Bytes 0 and 2 of each lane as signed I16.</summary>
    static abstract TCodes Even(TCodes codes);

    /// <summary>Bytes 1 and 3 of each lane as signed I16.</summary>
    static abstract TCodes Odd(TCodes codes);

    /// <summary>Byte <paramref name="index"/> of each lane, signed, as F32.</summary>
    static abstract TFloats ByteOf(TCodes codes, int index);

    /// <summary>Whether a vector of floats holds a table of 16, so that <see cref="EntryOf"/> works.</summary>
    static virtual bool HoldsTable => false;

    /// <summary>The entry named by the low half of byte <paramref name="index"/> of each lane.</summary>
    static virtual TFloats EntryOf(TFloats table, TCodes codes, int index) => throw new NotSupportedException();

    /// <summary>Each byte plus <paramref name="bias"/>.</summary>
    static abstract TCodes AddBytes(TCodes codes, int bias);

    /// <summary>What sums of products start from: the two I16 at <paramref name="pair"/>, shifted to the left, for bytes 0, 1 and bytes 2, 3 of the lanes.</summary>
    static abstract TNarrow Start(int* pair, int shift);

    /// <summary>sum + Σ codes · four, <paramref name="four"/> signed bytes that all lanes share. Codes are unsigned, at most 63; sums may wrap around on the way.</summary>
    static abstract TNarrow MultiplyBytes(TNarrow sum, TCodes codes, sbyte* four);

    /// <summary>sum + Σ shorts · two, <paramref name="two"/> I16 that all lanes share.</summary>
    static abstract TSums MultiplyShorts(TSums sum, TCodes shorts, short* two);

    static abstract TNarrow Add(TNarrow a, TNarrow b);

    static abstract TSums Add(TSums a, TSums b);

    static abstract TFloats Add(TFloats a, TFloats b);

    static abstract TFloats ToSingle(TNarrow sums);

    /// <summary>sums · scales, these as <see cref="LoadScales(sbyte*)"/> gives them.</summary>
    static abstract TSums Scale(TNarrow sums, TSums scales);

    /// <summary>Signed bytes, a lane each, in the form that <see cref="Scale"/> wants.</summary>
    static abstract TSums LoadScales(sbyte* values);

    /// <summary>What <see cref="Store(TSums, int*)"/> stored.</summary>
    static abstract TSums LoadScales(int* values);

    static abstract void Store(TSums values, int* target);

    static abstract TFloats ToSingle(TSums sums);

    static abstract TFloats Load(float* values);

    static abstract void Store(TCodes codes, byte* target);

    static abstract void Store(TFloats values, float* target);

    /// <summary>F16 numbers, widened exactly.</summary>
    static abstract TFloats LoadHalfs(ushort* values);

    /// <summary>Signed bytes as F32.</summary>
    static abstract TFloats LoadBytes(sbyte* values);

    /// <summary>2^(e − 128) for bytes e; the two smallest are subnormal.</summary>
    static abstract TFloats LoadPowers(byte* exponents);

    static abstract TFloats Multiply(TFloats a, TFloats b);

    /// <summary>One number in all lanes.</summary>
    static abstract TFloats All(float value);

    /// <summary>a · factor, one number for all lanes.</summary>
    static abstract TFloats Multiply(TFloats a, float factor);

    /// <summary>a · b + c, rounded once.</summary>
    static abstract TFloats MultiplyAdd(TFloats a, TFloats b, TFloats c);

    /// <summary>a · *b + c, rounded once.</summary>
    static abstract TFloats MultiplyAdd(TFloats a, float* b, TFloats c);

    /// <summary>a · *b.</summary>
    static abstract TFloats Multiply(TFloats a, float* b);
}
