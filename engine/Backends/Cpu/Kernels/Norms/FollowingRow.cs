using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>y = (x − mean) · scale · (offset + gain) + bias of one row, 16 elements at a time; gain and bias may be null.</summary>
internal readonly unsafe struct NormedRow(float* x, float* y, float* gain, float* bias, float mean, float scale, float offset)
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int i)
    {
        var v = (Vector512.Load(x + i) - Vector512.Create(mean)) * Vector512.Create(scale);
        if (gain is not null) v *= Vector512.Create(offset) + Vector512.Load(gain + i);
        if (bias is not null) v += Vector512.Load(bias + i);
        v.Store(y + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int i, int count)
    {
        var v = (Lanes.Load(x + i, count) - Vector512.Create(mean)) * Vector512.Create(scale);
        if (gain is not null) v *= Vector512.Create(offset) + Lanes.Load(gain + i, count);
        if (bias is not null) v += Lanes.Load(bias + i, count);
        Lanes.Store(v, y + i, count);
    }
}

/// <summary>A sum whose loading writes the same elements of the norm of the row before it.</summary>
internal readonly unsafe struct FollowingRow(AddedRow row, NormedRow before) : IRow
{
    public float* Stored => row.Stored;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Load(int i)
    {
        before.Write(i);
        return row.Load(i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Load(int i, int count)
    {
        before.Write(i, count);
        return row.Load(i, count);
    }

    public void StoreAll(int count)
    {
        for (int i = 0; i < count; i += Lanes.Count) _ = Load(i, count - i);
    }
}
