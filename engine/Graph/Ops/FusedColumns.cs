using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>
/// Products of one value with several matrices, and what follows column by column: the value is read once, and activation functions, gates and <see cref="QuantizeRows"/> are done while a tile of outputs is at hand.
/// Linears without adapters come first and read input 0; where anything follows them, all have one width.
/// </summary>
/// <inheritdoc cref="FusedOp(int, ImmutableArray{FusedPart}, ImmutableArray{int})" path="/param"/>
public sealed record FusedColumns(int InputCount, ImmutableArray<FusedPart> Parts, ImmutableArray<int> Results) : FusedOp(InputCount, Parts, Results)
{
    /// <summary>Number of Linears.</summary>
    public int Products => Parts.TakeWhile(p => p.Op is Linear).Count();

    /// <inheritdoc/>
    private protected override void CheckParts(ImmutableArray<ValueInfo> types)
    {
        Expect(InputCount == 1, $"has {InputCount} inputs");
        int products = Products;
        Expect(products > 0, "has no Linear");
        for (int i = 0; i < Parts.Length; i++)
        {
            var part = Parts[i];
            if (i < products) Expect(part.Op is Linear { Adapters.IsEmpty: true } && part.Inputs is [0], "a Linear has adapters or reads something else");
            else Expect(part.Op is Activate or GatedActivate or ClampedGlu or Add or Multiply or Scale or SoftCap or QuantizeRows && part.Outputs == 1 && part.Inputs.All(v => v > 0), $"{part.Op.Name} does not work column by column");
        }
        if (products < Parts.Length)
            for (int v = 2; v < types.Length; v++) Expect(types[v] == types[1], $"the columns of {types[v]} are not those of {types[1]}");
    }
}
