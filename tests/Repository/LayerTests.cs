using System.Text.RegularExpressions;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Repository;

/// <summary>Who may know whom.</summary>
public sealed partial class LayerTests
{
    [Fact]
    public void No_architecture_names_a_backend() => Offenders("engine/Models", Backend()).ShouldBeEmpty();

    [Fact]
    public void No_backend_names_an_architecture()
    {
        var names = new Regex($@"\b({string.Join('|', ArchitectureRegistry.GgufNames.Concat(["gpt-?2", "gemma", "qwen", "mixtral", "falcon", "mistral", "deepseek", "stablelm"]).Select(n => n.Replace("-", "-?", StringComparison.Ordinal)))})\b", RegexOptions.IgnoreCase);
        Offenders("engine/Backends", names).ShouldBeEmpty();
        Offenders("engine/Execution", names).ShouldBeEmpty();
    }

    [Fact]
    public void No_source_file_is_larger_than_40_KB_and_the_median_is_at_most_4_KB()
    {
        long[] sizes = [.. Sources("engine").Concat(Sources("tools")).Concat(Sources("tests")).Select(f => new FileInfo(f).Length).Order()];
        sizes[^1].ShouldBeLessThanOrEqualTo(40 * 1024);
        sizes[sizes.Length / 2].ShouldBeLessThanOrEqualTo(4 * 1024);
    }

    [Fact]
    public void An_architecture_file_has_at_most_200_lines()
    {
        foreach (string file in Sources("engine/Models")) File.ReadAllLines(file).Length.ShouldBeLessThanOrEqualTo(200, file);
    }

    private static IEnumerable<string> Offenders(string folder, Regex pattern) => Sources(folder).SelectMany(f => File.ReadLines(f).Where(l => pattern.IsMatch(l)).Select(l => $"{Path.GetFileName(f)}: {l.Trim()}"));

    private static IEnumerable<string> Sources(string folder) => Directory.GetFiles(Path.Combine(SharedData.RepositoryRoot, folder), "*.cs", SearchOption.AllDirectories)
        .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal));

    [GeneratedRegex(@"vulkan|cuda|\bcpu\b|Tare\.Backends", RegexOptions.IgnoreCase)]
    private static partial Regex Backend();
}
