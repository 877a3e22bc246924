using System.IO.MemoryMappedFiles;

namespace Tare.Formats;

/// <summary>
/// A file's bytes, mapped read-only or copied into memory, read through bounds-checked spans. <see cref="Dispose"/> gives the mapping up; it is released when the last
/// <see cref="Lease"/> ends. A mapped file that someone truncates may end the process; a copied one can't.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte[]?[]? _copies; // blocks of CopyBlock bytes
    private readonly byte* _start;
    private readonly Lock _lock = new();
    private int _leases;
    private bool _disposed, _released;

    private const int CopyBlock = 1 << 30;

    private MappedFile(string path, long length) => (Path, Length) = (path, length);

    private MappedFile(string path, MemoryMappedFile map, MemoryMappedViewAccessor view, long length) : this(path, length)
    {
        (_map, _view) = (map, view);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _start = start + view.PointerOffset;
    }

    private MappedFile(string path, byte[]?[] copies, long length) : this(path, length) => _copies = copies;

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Its bytes.</summary>
    public long Length { get; }

    /// <summary>Opens a file; <paramref name="map"/> false copies it.</summary>
    public static MappedFile Open(string path, bool map)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            long length = stream.Length;
            if (map && length > 0)
            {
                var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
                return new MappedFile(path, file, file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read), length);
            }
            var blocks = new byte[]?[(int)((length + CopyBlock - 1) / CopyBlock)];
            for (int i = 0; i < blocks.Length; i++) stream.ReadExactly(blocks[i] = new byte[(int)Math.Min(CopyBlock, length - (long)i * CopyBlock)]);
            return new MappedFile(path, blocks, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new ModelFileException(path, $"can't be read ({e.Message})", e);
        }
    }

    /// <summary>Wraps bytes in memory.</summary>
    public static MappedFile FromBytes(string path, byte[] bytes) => new(path, [bytes], bytes.Length);

    /// <summary>Keeps the bytes readable until disposed, also after <see cref="Dispose"/> of the file.</summary>
    public IDisposable Lease()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _leases++;
        }
        return new Holder(this);
    }

    /// <summary>Bytes offset … offset + count − 1; <paramref name="count"/> must fit an array of a copied file's block.</summary>
    public ReadOnlySpan<byte> Span(long offset, int count)
    {
        if (offset < 0 || count < 0 || offset > Length - count) throw new ArgumentOutOfRangeException(nameof(offset), $"{count} bytes at {offset} of {Path}, which has {Length}");
        ObjectDisposedException.ThrowIf(_released, this);
        if (count == 0) return [];
        if (_start != null) return new ReadOnlySpan<byte>(_start + offset, count);
        int block = (int)(offset / CopyBlock), within = (int)(offset % CopyBlock);
        if (within + (long)count <= _copies![block]!.Length) return _copies[block].AsSpan(within, count);
        var joined = new byte[count];
        for (int done = 0; done < count; within = 0, block++)
        {
            var part = _copies[block].AsSpan(within);
            part = part[..Math.Min(part.Length, count - done)];
            part.CopyTo(joined.AsSpan(done));
            done += part.Length;
        }
        return joined;
    }

    /// <summary>Gives the resident pages of a range back, for bytes that were used and are not needed soon; reading them again works. Does nothing for a copied file.</summary>
    public void ReleasePages(long offset, long count)
    {
        if (offset < 0 || count < 0 || offset > Length - count) throw new ArgumentOutOfRangeException(nameof(offset), $"{count} bytes at {offset} of {Path}, which has {Length}");
        ObjectDisposedException.ThrowIf(_released, this);
        if (_start != null) PageAdvice.ReleaseMapped(_start + offset, count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            if (_leases == 0) Release();
        }
    }

    private void Release()
    {
        if (_released) return;
        _released = true;
        if (_copies is not null) Array.Clear(_copies);
        _view?.SafeMemoryMappedViewHandle.ReleasePointer();
        _view?.Dispose();
        _map?.Dispose();
    }

    private sealed class Holder(MappedFile file) : IDisposable
    {
        private int _ended;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _ended, 1) == 1) return;
            lock (file._lock)
            {
                file._leases--;
                if (file._disposed && file._leases == 0) file.Release();
            }
        }
    }
}
