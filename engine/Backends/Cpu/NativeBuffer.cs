using System.Runtime.InteropServices;
using Tare.Formats;

namespace Tare.Backends.Cpu;

/// <summary>How buffers begin.</summary>
internal static class NativeBuffers
{
    /// <summary>Fills fresh buffers with 0xFF bytes (NaN as a float, −1 as an integer), so that reading an element before it is written shows. For tests: it touches memory that a run may never need.</summary>
    public static bool FillFresh { get; set; }
}

/// <summary>Elements in native memory, aligned to 64 bytes, with 64 guard bytes behind the end: kernels get pointers that never move and nothing that the collector must visit.</summary>
internal sealed unsafe class NativeBuffer<T> : IDisposable where T : unmanaged
{
    private const int GuardBytes = 64;
    private const byte Guard = 0xA5;

    /// <summary>
    /// Allocates elements; their values are not defined, or see <see cref="NativeBuffers.FillFresh"/>. <paramref name="dense"/>: it is read often, so huge pages pay, though memory
    /// comes 2 MiB at a time then.
    /// </summary>
    public NativeBuffer(long length, bool dense = false)
    {
        if (length < 0) throw new ArgumentOutOfRangeException(nameof(length));
        Length = length;
        Bytes = checked(length * sizeof(T));
        bool huge = dense && Bytes >= 2 * PageAdvice.HugePage;
        Pointer = (T*)NativeMemory.AlignedAlloc(checked((nuint)Bytes + GuardBytes), (nuint)(huge ? PageAdvice.HugePage : 64));
        if (huge) PageAdvice.PreferHuge((byte*)Pointer, Bytes);
        if (NativeBuffers.FillFresh) NativeMemory.Fill(Pointer, (nuint)Bytes, 0xFF);
        NativeMemory.Fill((byte*)Pointer + Bytes, GuardBytes, Guard);
        GC.AddMemoryPressure(Bytes + GuardBytes);
    }

    /// <summary>Frees what a forgotten Dispose left.</summary>
    ~NativeBuffer() => Free();

    /// <summary>First element.</summary>
    public T* Pointer { get; private set; }

    /// <summary>Number of elements.</summary>
    public long Length { get; }

    /// <summary>Bytes without the guard.</summary>
    public long Bytes { get; }

    /// <summary>Whether nothing was written behind the end.</summary>
    public bool IsGuardIntact => new ReadOnlySpan<byte>((byte*)Pointer + Bytes, GuardBytes).IndexOfAnyExcept(Guard) < 0;

    /// <summary>A checked range of the elements.</summary>
    public Span<T> Span(long start, int count)
    {
        if (start < 0 || count < 0 || start > Length - count) throw new ArgumentOutOfRangeException(nameof(start), $"{start}…{start + count} of {Length} elements");
        ObjectDisposedException.ThrowIf(Pointer is null, this);
        return new Span<T>(Pointer + start, count);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (Pointer is null) return;
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
        GC.RemoveMemoryPressure(Bytes + GuardBytes);
    }
}
