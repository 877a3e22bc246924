namespace Tare.Tests.Support;

public sealed class SharedDataTests
{
    [Fact]
    public void The_repository_root_holds_the_solution() => File.Exists(Path.Combine(SharedData.RepositoryRoot, "Engine.sln")).ShouldBeTrue();

    [Fact]
    public void Required_reference_data_is_there()
    {
        if (SharedData.Required) SharedData.ConformanceRoot.ShouldNotBeNull("TARE_REQUIRE_SHARED=1, but there is no conformance folder");
    }
}
