using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>Ops whose rows don't depend on each other, run row by row: one pass over memory for all of them.</summary>
/// <inheritdoc cref="FusedOp(int, ImmutableArray{FusedPart}, ImmutableArray{int})" path="/param"/>
public sealed record FusedRows(int InputCount, ImmutableArray<FusedPart> Parts, ImmutableArray<int> Results) : FusedOp(InputCount, Parts, Results)
{
    /// <summary>A node as a chain of its own.</summary>
    public static FusedRows Of(Node node) => new(node.Inputs.Length, [new FusedPart(node.Op, [.. Enumerable.Range(0, node.Inputs.Length)], node.Outputs.Length)], [.. Enumerable.Range(node.Inputs.Length, node.Outputs.Length)]);

    /// <inheritdoc/>
    private protected override void CheckParts(ImmutableArray<ValueInfo> types)
    {
        var rows = types[Results[0]].Rows;
        int next = InputCount;
        foreach (var part in Parts)
        {
            Expect(part.Op is not (Linear or GroupLinear or ExpertLinear or Attention or Pool), $"{part.Op.Name} is not row-local");
            foreach (int input in part.Inputs) Expect(types[input].Rows == rows || (part.Op is SelectRows && input < InputCount), $"{part.Op.Name} reads {types[input]} in a chain over {rows}");
            for (int i = 0; i < part.Outputs; i++) Expect(types[next + i].Rows == rows, $"{part.Op.Name} gives {types[next + i]} in a chain over {rows}");
            next += part.Outputs;
        }
    }
}
