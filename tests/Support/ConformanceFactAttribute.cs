namespace Tare.Tests.Support;

/// <summary>A test that needs reference data of the named kinds; skipped at discovery, with the reason, where they are absent – unless <c>TARE_REQUIRE_SHARED=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ConformanceFactAttribute : FactAttribute
{
    public ConformanceFactAttribute(params string[] needs) => Skip = MissingData.Reason(needs);
}

/// <summary>The theory form of <see cref="ConformanceFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ConformanceTheoryAttribute : TheoryAttribute
{
    public ConformanceTheoryAttribute(params string[] needs) => Skip = MissingData.Reason(needs);
}

/// <summary>Why a test can't run here. A need is a conformance kind (<c>quantisation</c>) or <c>models/NAME</c>.</summary>
internal static class MissingData
{
    public static string? Reason(string[] needs)
    {
        if (SharedData.Required) return null;
        var missing = needs.Where(n => (n.StartsWith("models/", StringComparison.Ordinal) ? SharedData.Model(n["models/".Length..]) : SharedData.Conformance(n)) is null).ToArray();
        return missing.Length == 0 ? null : $"reference data not found: {string.Join(", ", missing)} (set TARE_SHARED)";
    }
}
