using System.Collections.Immutable;
using Tare.Execution;

namespace Tare.Capture.Statistics;

/// <summary>Rows that are never thrown together: position 0 wrecks every mean, the first positions differ from the rest, and what is read differs from what is generated.</summary>
public static class RowGroup
{
    /// <summary>Number of groups.</summary>
    public const int Count = 6;

    /// <summary>Names in order of their numbers.</summary>
    public static ImmutableArray<string> Names { get; } = ["prompt/0", "prompt/1-15", "prompt/16-", "generated/0", "generated/1-15", "generated/16-"];

    /// <summary>The group of a row.</summary>
    public static int Of(int position, Phase phase) => (phase == Phase.Prompt ? 0 : 3) + (position == 0 ? 0 : position < 16 ? 1 : 2);
}
