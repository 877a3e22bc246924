using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tare.Backends.Cpu.Numerics;

/// <summary>
/// exp, tanh and erfc of 16 lanes. Every lane is computed alike, whatever the vector width of the machine, so tails (loaded into a full vector) have the bits of the vector part.
/// Polynomials are Chebyshev fits of the functions named beside them.
/// </summary>
internal static class Functions
{
    /// <summary>e^x: x = n ln 2 + r, a polynomial of degree 6 on |r| ≤ ½ ln 2 (2·10⁻⁹), times 2ⁿ in two steps, so that denormal results are right.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        if (!Vector512.IsHardwareAccelerated) return Vector512.Create(Exp(x.GetLower()), Exp(x.GetUpper()));
        var clamped = Vector512.MinNative(Vector512.MaxNative(x, Vector512.Create(-110f)), Vector512.Create(90f));
        var n = Vector512.Round(clamped * Vector512.Create(1.44269504f));
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), clamped);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        var p = Vector512.Create(0.0013941116406063054f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.008375132781144013f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.04166635280102047f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.16666415437987242f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.5000000047139321f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f));
        var exponent = Vector512.ConvertToInt32Native(n);
        var half = exponent >> 1;
        p = p * PowerOfTwo(half) * PowerOfTwo(exponent - half);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), p, x);
    }

    // The same of 8 lanes. Where a vector of 16 is two registers every operation on it is a method to inline, and of those the compiler takes only so many.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Exp(Vector256<float> x)
    {
        var clamped = Vector256.MinNative(Vector256.MaxNative(x, Vector256.Create(-110f)), Vector256.Create(90f));
        var n = Vector256.Round(clamped * Vector256.Create(1.44269504f));
        var r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-0.693359375f), clamped);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(2.12194440e-4f), r);
        var p = Vector256.Create(0.0013941116406063054f);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(0.008375132781144013f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(0.04166635280102047f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(0.16666415437987242f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(0.5000000047139321f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1f));
        var exponent = Vector256.ConvertToInt32Native(n);
        var half = exponent >> 1;
        p = p * PowerOfTwo(half) * PowerOfTwo(exponent - half);
        return Vector256.ConditionalSelect(Vector256.Equals(x, x), p, x);
    }

    /// <summary>1 / (1 + e^−x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> x) => Vector512<float>.One / (Vector512<float>.One + Exp(-x));

    /// <summary>tanh x = x P(x²) / Q(x²) with P and Q of degree 4 and positive coefficients, a fit of least relative error (2·10⁻⁸) on |x| ≤ 9, where rounding makes it 4·10⁻⁷; beyond, tanh is ±1 in single precision.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Tanh(Vector512<float> x)
    {
        Vector512<float> a = Vector512.Abs(x), u = x * x;
        var p = Vector512.FusedMultiplyAdd(Vector512.Create(1.33549188e-8f), u, Vector512.Create(2.06092903e-5f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(3.49560179e-3f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(0.133810375f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512<float>.One);
        var q = Vector512.FusedMultiplyAdd(Vector512.Create(7.77667009e-7f), u, Vector512.Create(3.28565643e-4f));
        q = Vector512.FusedMultiplyAdd(q, u, Vector512.Create(0.0258770353f));
        q = Vector512.FusedMultiplyAdd(q, u, Vector512.Create(0.467143531f));
        q = Vector512.FusedMultiplyAdd(q, u, Vector512<float>.One);
        var value = Vector512.ConditionalSelect(Vector512.GreaterThan(a, Vector512.Create(9f)), Vector512<float>.One, a * p / q);
        value = Vector512.ConditionalSelect(Vector512.GreaterThan(value, Vector512<float>.One), Vector512<float>.One, value);
        return Vector512.CopySign(value, x);
    }

    /// <summary>erfc x without cancellation: below |x| = 1 one minus an odd polynomial of degree 15, else t e^(−x²) P(t) with t = 1 / (1 + |x|/2), P of degree 11 (2·10⁻¹²); 2 − that for negative x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Erfc(Vector512<float> x)
    {
        var u = x * x;
        var p = Vector512.Create(-9.667044571486996e-06f);
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(0.00011265959025606609f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(-0.0008484080405535107f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(0.005221031807858023f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(-0.026865430727670243f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(0.11283782495236845f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(-0.3761263846802871f));
        p = Vector512.FusedMultiplyAdd(p, u, Vector512.Create(1.1283791670615435f));
        var small = Vector512.FusedMultiplyAdd(-p, x, Vector512<float>.One);
        var a = Vector512.MinNative(Vector512.Abs(x), Vector512.Create(10.5f));
        var t = Vector512<float>.One / Vector512.FusedMultiplyAdd(a, Vector512.Create(0.5f), Vector512<float>.One);
        var q = Vector512.Create(0.043202182290891275f);
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(-0.1395535229972597f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.09301007436414335f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.1737309529226633f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(-0.27626725429442955f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.081065424580382f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(-0.05790904834448256f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.09759003854841655f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.17391386873040268f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.24709984456498904f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.28207745938080214f));
        q = Vector512.FusedMultiplyAdd(q, t, Vector512.Create(0.2820952902986328f));
        var tail = q * t * Exp(-(a * a));
        tail = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<float>.Zero), Vector512.Create(2f) - tail, tail);
        var value = Vector512.ConditionalSelect(Vector512.LessThan(u, Vector512<float>.One), small, tail);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x), value, x);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> PowerOfTwo(Vector512<int> exponent) => ((exponent + Vector512.Create(127)) << 23).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> PowerOfTwo(Vector256<int> exponent) => ((exponent + Vector256.Create(127)) << 23).AsSingle();
}
