using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Tare.Formats;

/// <summary>
/// A file's bytes, mapped read-only or copied into memory, read through bounds-checked spans. <see cref="Dispose"/> gives the mapping up; it is released when the last
/// <see cref="Lease"/> ends. A mapped file that someone truncates may end the process; a copied one can't.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly SafeFileHandle? _handle;
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte[]?[]? _copies; // blocks of CopyBlock bytes
    private readonly byte* _start;
    private readonly Lock _lock = new();
    private int _leases;
    private bool _disposed, _released;

    private const int CopyBlock = 1 << 30;

    private MappedFile(string path, long length) => (Path, Length) = (path, length);

    private MappedFile(string path, SafeFileHandle handle, MemoryMappedFile map, MemoryMappedViewAccessor view, long length) : this(path, length)
    {
        (_handle, _map, _view) = (handle, map, view);
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
            var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            try
            {
                long length = RandomAccess.GetLength(handle);
                if (map && length > 0) return Map(path, handle, length);
                using (handle) return Copy(path, handle, length);
            }
            catch
            {
                handle.Dispose();
                throw;
            }
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

    /// <summary>Copies bytes from <paramref name="offset"/> on. Of a mapped file they come through the file, which is much faster than faulting its pages in where each is needed once.</summary>
    public void Read(long offset, Span<byte> destination)
    {
        if (_handle is null)
        {
            Span(offset, destination.Length).CopyTo(destination);
            return;
        }
        if (offset < 0 || offset > Length - destination.Length) throw new ArgumentOutOfRangeException(nameof(offset), $"{destination.Length} bytes at {offset} of {Path}, which has {Length}");
        ObjectDisposedException.ThrowIf(_released, this);
        try
        {
            for (int done = 0; done < destination.Length;)
            {
                int read = RandomAccess.Read(_handle, destination[done..], offset + done);
                if (read == 0) throw new ModelFileException(Path, $"ends at byte {offset + done}; it had {Length} bytes when it was opened");
                done += read;
            }
        }
        catch (IOException e)
        {
            throw new ModelFileException(Path, $"can't be read ({e.Message})", e);
        }
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
        _handle?.Dispose();
    }

    private static MappedFile Map(string path, SafeFileHandle handle, long length)
    {
        var file = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        return new MappedFile(path, handle, file, file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read), length);
    }

    private static MappedFile Copy(string path, SafeFileHandle handle, long length)
    {
        using var stream = new FileStream(handle, FileAccess.Read, 1);
        var blocks = new byte[]?[(int)((length + CopyBlock - 1) / CopyBlock)];
        for (int i = 0; i < blocks.Length; i++) stream.ReadExactly(blocks[i] = new byte[(int)Math.Min(CopyBlock, length - (long)i * CopyBlock)]);
        return new MappedFile(path, blocks, length);
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
