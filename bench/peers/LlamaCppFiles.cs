using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tare.Bench.Peers;

/// <summary>Where an installed node-llama-cpp keeps llama.cpp's libraries.</summary>
internal sealed class LlamaCppFiles
{
    /// <summary>The version of the package that bench/peers/package.json names.</summary>
    public const string KnownVersion = "3.22.1";

    private LlamaCppFiles(string folder, string version) => (Folder, Version) = (folder, version);

    /// <summary>The folder of the libraries.</summary>
    public string Folder { get; }

    /// <summary>The package's version.</summary>
    public string Version { get; }

    /// <summary>llama.cpp's release, from the name of its library.</summary>
    public string Release => Path.GetFileName(Llama)["libllama.".Length..^".so".Length];

    /// <summary>Full paths.</summary>
    public string Base => Only("libggml-base.so");

    /// <summary>Full path.</summary>
    public string Ggml => Only("libggml.*so");

    /// <summary>Full path.</summary>
    public string Llama => Only("libllama.*so");

    /// <summary>Full path of the library of what llama.cpp's programs share.</summary>
    public string Common => Only("libllama-common.so");

    /// <summary>Full paths of the libraries of which ggml takes the best.</summary>
    public string[] CpuLibraries => Directory.GetFiles(Folder, "libggml-cpu-*.so").Order(StringComparer.Ordinal).ToArray();

    /// <summary>Finds the libraries for this machine below a folder in which <c>npm install</c> ran.</summary>
    public static LlamaCppFiles Find(string installed)
    {
        if (!OperatingSystem.IsLinux()) throw new PeerException("the comparison runs on Linux only");
        string name = $"linux-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}", package = Path.Combine(Path.GetFullPath(installed), "node_modules", "@node-llama-cpp", name);
        if (!Directory.Exists(Path.Combine(package, "bins", name)))
            throw new PeerException($"{package} is not there; run: npm install --prefix {installed} --ignore-scripts --omit=optional node-llama-cpp@{KnownVersion} @node-llama-cpp/{name}@{KnownVersion}");
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(package, "package.json")));
        return new LlamaCppFiles(Path.Combine(package, "bins", name), json.RootElement.GetProperty("version").GetString()!);
    }

    private string Only(string pattern) => Directory.GetFiles(Folder, pattern) is [var file] ? file : throw new PeerException($"{Folder}: not exactly one {pattern}");
}
