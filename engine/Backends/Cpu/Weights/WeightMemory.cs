using System.Runtime.InteropServices;
using Tare.Formats;

namespace Tare.Backends.Cpu.Weights;

/// <summary>
/// The memory of packed weights: pieces one behind the other in slabs of huge pages, so that small matrices lie in huge pages too and the ends of large ones share them. What of a slab no piece has reached takes no
/// memory. For one thread at a time.
/// </summary>
internal sealed unsafe class WeightMemory : IDisposable
{
    private const long SlabBytes = 64 << 20;
    private const int Line = 64;

    private readonly List<nint> _slabs = [];
    private byte* _next, _end;
    private long _pressure;

    /// <summary>Frees what a forgotten Dispose left.</summary>
    ~WeightMemory() => Free();

    /// <summary>A piece that begins at a line of the cache; its contents are not defined, or see <see cref="NativeBuffers.FillFresh"/>. It lives until <see cref="Dispose"/>.</summary>
    public byte* Take(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        long whole = checked(bytes + Line - 1) & -Line;
        if (whole > _end - _next) AddSlab(Math.Max(SlabBytes, checked(whole + PageAdvice.HugePage - 1) & -PageAdvice.HugePage));
        byte* piece = _next;
        _next += whole;
        if (NativeBuffers.FillFresh) NativeMemory.Fill(piece, (nuint)whole, 0xFF);
        if (whole == 0) return piece;
        GC.AddMemoryPressure(whole);
        _pressure += whole;
        return piece;
    }

    /// <summary>Takes the piece back that was taken last.</summary>
    public void GiveBack(byte* piece)
    {
        if (piece > _next) throw new ArgumentException("not the last piece");
        _next = piece;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void AddSlab(long bytes)
    {
        byte* slab = (byte*)NativeMemory.AlignedAlloc(checked((nuint)bytes), PageAdvice.HugePage);
        PageAdvice.PreferHuge(slab, bytes);
        _slabs.Add((nint)slab);
        _next = slab;
        _end = slab + bytes;
    }

    private void Free()
    {
        foreach (nint slab in _slabs) NativeMemory.AlignedFree((void*)slab);
        _slabs.Clear();
        _next = _end = null;
        if (_pressure > 0) GC.RemoveMemoryPressure(_pressure);
        _pressure = 0;
    }
}
