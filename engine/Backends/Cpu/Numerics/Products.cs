using System.Runtime.Intrinsics;

namespace Tare.Backends.Cpu.Numerics;

/// <summary>Inner products of single rows.</summary>
internal static unsafe class Products
{
    /// <summary>Σ a[i] b[i] over 16 lanes in index order, then the fixed tree.</summary>
    public static float Dot(float* a, float* b, int count)
    {
        var sum = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes.Count) sum = Vector512.FusedMultiplyAdd(Lanes.Load(a + i, count - i), Lanes.Load(b + i, count - i), sum);
        return Lanes.Sum(sum);
    }
}
