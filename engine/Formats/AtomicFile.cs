namespace Tare.Formats;

/// <summary>Writes a file whole or not at all: a temporary file beside the target, flushed to disk, then renamed.</summary>
internal static class AtomicFile
{
    /// <summary>Writes and renames; <paramref name="check"/> may read the finished temporary file before it gets its name.</summary>
    public static void Write(string path, Action<Stream> write, Action<string>? check = null)
    {
        string full = Path.GetFullPath(path), temporary = $"{full}.{Environment.ProcessId:x}-{Guid.NewGuid():n}.tmp";
        if (!Directory.Exists(Path.GetDirectoryName(full))) throw new DirectoryNotFoundException($"{path}: the folder does not exist");
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            check?.Invoke(temporary);
            File.Move(temporary, full, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
