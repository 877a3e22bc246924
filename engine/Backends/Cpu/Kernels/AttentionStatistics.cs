using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Whether an attention kernel also takes statistics of its weights: a constant of the kernel's type, so that the ordinary kernel has neither branch nor work for them.</summary>
internal interface IAttentionVariant
{
    /// <summary>Whether it does.</summary>
    static abstract bool TakesStatistics { get; }
}

/// <summary>The ordinary kernel.</summary>
internal readonly struct WithoutStatistics : IAttentionVariant
{
    public static bool TakesStatistics => false;
}

/// <summary>The kernel of a capture.</summary>
internal readonly struct WithStatistics : IAttentionVariant
{
    public static bool TakesStatistics => true;
}

/// <summary>
/// Entropy, largest weight and weight on key 0 in the states of the online softmax. Beside m (largest score) and Z = Σ e^(s − m) a state holds T = Σ e^(s − m) (s − m), the e^(s − m) of its largest key and that of key 0.
/// With all keys seen, H = ln Z − T / Z, and the other two are divided by Z.
/// </summary>
/// <remarks>When states merge, m moves by δ ≤ 0 and T becomes e^δ (T + δ Z). A learned sink is a state of one weight and no key: it counts in Z and T and is never the largest key.</remarks>
internal sealed unsafe class AttentionStatistics(int heads, float* entropy, float* largest, float* first)
{
    private const int Spread = 2, Largest = 3, First = 4; // of a state, behind largest score and sum of weights
    private const float Furthest = -1000;                 // scores further below the largest have weight 0, and 0 · ∞ is no number

    /// <summary>The state of one block, from its weights' distances to the largest score and the weight of key 0 (0 where it is not seen).</summary>
    public static void Describe(float* state, Vector512<float> spread, float firstWeight) => (state[Spread], state[Largest], state[First]) = (Lanes.Sum(spread), 1, firstWeight);

    /// <summary>A state that has seen no key.</summary>
    public static void Clear(float* state) => (state[Spread], state[Largest], state[First]) = (0, 0, 0);

    /// <summary>spread + weight · distance; the weight of what is further away than e^x can tell is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> spread, Vector512<float> weight, Vector512<float> distance) => Vector512.FusedMultiplyAdd(weight, Vector512.Max(distance, Vector512.Create(Furthest)), spread);

    /// <summary>Takes block <paramref name="b"/> into <paramref name="a"/>, whose largest score and sum are still their own; <paramref name="keep"/> and <paramref name="add"/> are the factors of their weights.</summary>
    public static void Merge(float* a, float* b, float maximum, float keep, float add)
    {
        float down = MathF.Max(a[0] - maximum, Furthest), up = MathF.Max(b[0] - maximum, Furthest);
        a[Spread] = keep * MathF.FusedMultiplyAdd(down, a[1], a[Spread]) + add * MathF.FusedMultiplyAdd(up, b[1], b[Spread]);
        a[Largest] = MathF.Max(keep * a[Largest], add * b[Largest]);
        a[First] = keep * a[First] + add * b[First];
    }

    /// <summary>Writes the statistics of a row's head: rows of [rows, heads] each.</summary>
    public void Write(float* state, int row, int head)
    {
        long at = (long)row * heads + head;
        double sum = state[1];
        entropy[at] = (float)(Math.Log(sum) - state[Spread] / sum);
        largest[at] = state[Largest] / state[1];
        first[at] = state[First] / state[1];
    }
}
