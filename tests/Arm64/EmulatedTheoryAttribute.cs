namespace Tare.Tests.Arm64;

/// <summary>A test that runs an ARM64 program in user-mode emulation; skipped at discovery, with the reason, where emulator, C library or runtime are absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class EmulatedTheoryAttribute : TheoryAttribute
{
    public const string Emulator = "qemu-aarch64-static", Libraries = "/usr/aarch64-linux-gnu";

    public EmulatedTheoryAttribute() => Skip = Reason();

    private static string? Reason()
    {
        if (!OperatingSystem.IsLinux()) return "ARM64 is emulated on Linux only";
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(p => File.Exists(Path.Combine(p, Emulator))))
            return $"no {Emulator} in PATH (Debian: qemu-user-static)";
        if (!File.Exists($"{Libraries}/lib/libstdc++.so.6")) return $"no ARM64 C++ library under {Libraries} (Debian: libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross)";
        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } set ? set : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        return Directory.Exists(Path.Combine(packages, "microsoft.netcore.app.runtime.linux-arm64", Environment.Version.ToString()))
            ? null
            : $"no ARM64 runtime {Environment.Version} in {packages} (dotnet restore tests/Arm64/Tare.Arm64.csproj)";
    }
}
