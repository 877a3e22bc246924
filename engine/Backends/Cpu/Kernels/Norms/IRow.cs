using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Elements that lie in memory, or come to lie there while they are read for the first time. Each is loaded once, in any order.</summary>
internal unsafe interface IRow
{
    /// <summary>Elements that were loaded before.</summary>
    float* Stored { get; }

    /// <summary>Elements <paramref name="i"/> … i + 15.</summary>
    Vector512<float> Load(int i);

    /// <summary>The <paramref name="count"/> (at least 1, 16 count as many as more) elements from <paramref name="i"/>; the other lanes are zero.</summary>
    Vector512<float> Load(int i, int count);

    /// <summary>Loads all of the <paramref name="count"/> elements.</summary>
    void StoreAll(int count);
}

/// <summary>Elements in memory.</summary>
internal readonly unsafe struct StoredRow(float* x) : IRow
{
    public float* Stored => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Load(int i) => Vector512.Load(x + i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Load(int i, int count) => Lanes.Load(x + i, count);

    public void StoreAll(int count)
    {
    }
}

/// <summary>sum = a + b, so that the sum of a residual stream and a sublayer is read while it is still in registers. <c>sum</c> may be a or b.</summary>
internal readonly unsafe struct AddedRow(float* a, float* b, float* sum) : IRow
{
    public float* Stored => sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Load(int i)
    {
        var v = Vector512.Load(a + i) + Vector512.Load(b + i);
        v.Store(sum + i);
        return v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Load(int i, int count)
    {
        var v = Lanes.Load(a + i, count) + Lanes.Load(b + i, count);
        Lanes.Store(v, sum + i, count);
        return v;
    }

    public void StoreAll(int count)
    {
        for (int i = 0; i < count; i += Lanes.Count) _ = Load(i, count - i);
    }
}
