namespace Tare.Tests.Support;

/// <summary>
/// Finds the reference data: <c>TARE_SHARED</c> (default <c>../shared</c> from the repository's root) with <c>conformance/</c> and <c>models/</c>;
/// <c>TARE_CONFORMANCE</c> overrides the first alone. What is copied into the project lies under <c>tests/data</c>.
/// </summary>
internal static class SharedData
{
    /// <summary>The repository's root: the nearest folder above the test assembly that holds <c>Engine.sln</c>.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>The shared folder, or null where this machine has none.</summary>
    public static string? Shared { get; } = Existing(Environment.GetEnvironmentVariable("TARE_SHARED") is { Length: > 0 } set ? set : Path.Combine(RepositoryRoot, "..", "shared"));

    /// <summary>The conformance folder, or null where this machine has none.</summary>
    public static string? ConformanceRoot { get; } = Environment.GetEnvironmentVariable("TARE_CONFORMANCE") is { Length: > 0 } set
        ? Existing(set)
        : Shared is null ? null : Existing(Path.Combine(Shared, "conformance"));

    /// <summary>True when missing data must fail instead of skip (continuous integration).</summary>
    public static bool Required { get; } = Environment.GetEnvironmentVariable("TARE_REQUIRE_SHARED") == "1";

    /// <summary>The conformance folder of a kind (<c>architectures</c>, <c>quantisation</c>, …), else the project's copy under <c>tests/data</c>, else null.</summary>
    public static string? Conformance(string kind)
        => (ConformanceRoot is null ? null : Existing(Path.Combine(ConformanceRoot, kind))) ?? Existing(Path.Combine(RepositoryRoot, "tests", "data", kind));

    /// <summary>A file or folder under <c>models/</c> of the shared folder or of the project, or null.</summary>
    public static string? Model(string name)
        => (Shared is null ? null : Existing(Path.Combine(Shared, "models", name))) ?? Existing(Path.Combine(RepositoryRoot, "models", name));

    private static string? Existing(string path) => Directory.Exists(path) || File.Exists(path) ? Path.GetFullPath(path) : null;

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Engine.sln"))) return folder.FullName;
        throw new InvalidOperationException($"no Engine.sln above {AppContext.BaseDirectory}");
    }
}
