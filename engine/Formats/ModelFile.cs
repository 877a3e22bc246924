using System.Diagnostics.CodeAnalysis;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;

namespace Tare.Formats;

/// <summary>How a model file is opened.</summary>
public sealed record OpenOptions
{
    /// <summary>Map the file (default), or copy it into memory.</summary>
    public bool Map { get; init; } = true;

    /// <summary>The name of the configuration in a checkpoint folder.</summary>
    public string ConfigName { get; init; } = "config.json";
}

/// <summary>A model as it is stored: tensors and what describes them. Closing releases the mapping once the last lease has ended.</summary>
public abstract class ModelFile : IDisposable
{
    private readonly Dictionary<string, MappedTensor> _byName = new(StringComparer.Ordinal);
    private readonly List<MappedTensor> _tensors = [];
    private readonly List<MappedFile> _files = [];

    private protected ModelFile(string path) => Path = path;

    /// <summary>The file or folder that was opened.</summary>
    public string Path { get; }

    /// <summary>All tensors, in the order of the file.</summary>
    public IReadOnlyList<MappedTensor> Tensors => _tensors;

    /// <summary>Finds a tensor by its name in the file.</summary>
    public bool TryGetTensor(string name, [NotNullWhen(true)] out MappedTensor? tensor) => _byName.TryGetValue(name, out tensor);

    /// <summary>Opens a GGUF file (the first part of a split brings the others), a .safetensors file, or a checkpoint folder. Throws <see cref="ModelFileException"/>.</summary>
    public static ModelFile Open(string path, OpenOptions? options = null)
    {
        options ??= new OpenOptions();
        if (Directory.Exists(path)) return CheckpointFolder.OpenFolder(path, options);
        if (!File.Exists(path)) throw new ModelFileException(path, "no such file or folder");
        if (path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)) return CheckpointFolder.OpenFile(path, options);
        return GgufFile.OpenParts(path, options);
    }

    /// <summary>Keeps the bytes of all tensors readable until disposed, also after <see cref="Dispose()"/>.</summary>
    public IDisposable Lease() => new Leases([.. _files.Select(f => f.Lease())]);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected void Own(MappedFile file) => _files.Add(file);

    private protected void Add(MappedTensor tensor)
    {
        if (!_byName.TryAdd(tensor.Name, tensor)) throw new ModelFileException(tensor.File, $"tensor '{tensor.Name}' occurs twice");
        _tensors.Add(tensor);
    }

    /// <summary>Throws when <paramref name="target"/> is one of the files that are open here: a mapped input must not be overwritten.</summary>
    public void RefuseToOverwrite(string target)
    {
        string wanted = Resolve(target);
        foreach (var file in _files)
            if (Resolve(file.Path) == wanted) throw new ModelFileException(target, "is the input itself; choose another output");
    }

    private static string Resolve(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        var folder = new DirectoryInfo(System.IO.Path.GetDirectoryName(full)!);
        var real = folder.Exists ? folder.ResolveLinkTarget(true)?.FullName ?? folder.FullName : folder.FullName;
        string joined = System.IO.Path.Combine(real, System.IO.Path.GetFileName(full));
        return File.Exists(joined) ? File.ResolveLinkTarget(joined, true)?.FullName ?? joined : joined;
    }

    private sealed class Leases(IDisposable[] leases) : IDisposable
    {
        public void Dispose()
        {
            foreach (var lease in leases) lease.Dispose();
        }
    }
}
