using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>The stored rows of a tile behind each other: where they lie, or gathered where an expression takes them from several places.</summary>
internal static class StoredTile
{
    /// <summary>Rows [<paramref name="count"/>, <paramref name="rowBytes"/>] from <paramref name="first"/> on; <paramref name="gathered"/> holds them where they have to be moved, and is made when it is first needed.</summary>
    public static ReadOnlySpan<byte> Rows(Weight weight, long first, int count, int rowBytes, ref byte[]? gathered)
    {
        ref byte start = ref MemoryMarshal.GetReference(Row(weight, first, rowBytes));
        for (int r = 1; r < count; r++)
            if (!Unsafe.AreSame(ref Unsafe.Add(ref start, (nint)r * rowBytes), ref MemoryMarshal.GetReference(Row(weight, first + r, rowBytes)))) return Gather(weight, first, count, rowBytes, ref gathered);
        return MemoryMarshal.CreateReadOnlySpan(ref start, checked(count * rowBytes));
    }

    private static ReadOnlySpan<byte> Gather(Weight weight, long first, int count, int rowBytes, ref byte[]? gathered)
    {
        if (gathered is null || gathered.Length < count * rowBytes) gathered = new byte[checked(count * rowBytes)];
        for (int r = 0; r < count; r++) Row(weight, first + r, rowBytes).CopyTo(gathered.AsSpan(r * rowBytes));
        return gathered.AsSpan(0, count * rowBytes);
    }

    private static ReadOnlySpan<byte> Row(Weight weight, long row, int rowBytes)
        => weight.TryGetStoredRow(row, out var bytes) && bytes.Length == rowBytes ? bytes : throw new InvalidOperationException($"{weight}: a row of {bytes.Length} bytes instead of {rowBytes}");
}
