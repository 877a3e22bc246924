namespace Tare.Bench;

/// <summary>The folder of the solution that this program was built from.</summary>
internal static class RepositoryRoot
{
    public static string Path { get; } = Find();

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "Engine.sln"))) return folder.FullName;
        return Directory.GetCurrentDirectory();
    }
}
