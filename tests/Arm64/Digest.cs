using System.Globalization;

namespace Tare.Tests.Arm64;

/// <summary>FNV-1a of 64 bits (draft-eastlake-fnv): managed code alone, as the emulated program has no cryptography library.</summary>
internal sealed class Digest
{
    private ulong _state = 14695981039346656037;

    public void Add(ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes) _state = unchecked((_state ^ b) * 1099511628211);
    }

    public override string ToString() => _state.ToString("X16", CultureInfo.InvariantCulture);
}
