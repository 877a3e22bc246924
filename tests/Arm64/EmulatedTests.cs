using System.Diagnostics;
using Tare.Tests.Support;

namespace Tare.Tests.Arm64;

/// <summary>ARM64 gives the bits of this processor: the same engine assembly, run in user-mode emulation.</summary>
public sealed class EmulatedTests
{
    private static readonly Lazy<string> Published = new(Publish);
    private static readonly Lazy<Dictionary<string, string>> Here = new(() => Digests.All().ToDictionary(d => d.Name, d => d.Digest));

    [Fact]
    public void Lanes_of_every_instruction_set_here_give_the_same_bits()
        => LaneDigest.OfThisProcessor().Select(d => d.Digest).Distinct().Count().ShouldBe(1);

    [EmulatedTheory]
    [InlineData("max", "AdvSimd, Dp")]
    [InlineData("cortex-a72", "AdvSimd")]
    public void An_ARM64_processor_gives_the_same_bits(string processor, string features)
    {
        string output = Run(240, EmulatedTheoryAttribute.Emulator, "-cpu", processor, "-L", EmulatedTheoryAttribute.Libraries, Published.Value);
        var there = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split('\t')).ToDictionary(p => p[0], p => p[1]);
        there["features"].ShouldBe(features);
        there["AdvSimdLanes"].ShouldBe(Here.Value["PortableLanes"]);
        string[] names = [.. Here.Value.Keys.Where(n => n != "features" && (n == "PortableLanes" || !n.EndsWith("Lanes", StringComparison.Ordinal)))];
        names.Length.ShouldBeGreaterThan(60);
        names.Where(n => there.GetValueOrDefault(n) != Here.Value[n]).ShouldBeEmpty();
    }

    // The program, with the engine that lies beside this test.
    private static string Publish()
    {
        string folder = Path.Combine(SharedData.RepositoryRoot, ".build", "arm64", "out");
        Run(180, "dotnet", "publish", Path.Combine(SharedData.RepositoryRoot, "tests", "Arm64", "Tare.Arm64.csproj"), "-c", "Release", "-v", "quiet", "--nologo", "-o", folder,
            $"-p:EngineAssembly={Path.Combine(AppContext.BaseDirectory, "Tare.Engine.dll")}");
        return Path.Combine(folder, "Tare.Arm64");
    }

    private static string Run(int seconds, string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        if (!process.WaitForExit(seconds * 1000))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} did not end within {seconds} seconds");
        }
        process.ExitCode.ShouldBe(0, $"{program}: {output.Result}{error.Result}");
        return output.Result;
    }
}
