using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>Is a value zero-mean in every row, whatever the input? By the form of what writes it (a Center, centered weights), else by the weights themselves, which a file may hold centered.</summary>
internal static class ZeroMean
{
    /// <summary>The share of a weight's energy along the all-ones direction that counts as none: an amplitude of 3·10⁻⁵. A weight that was never centered has 1/d.</summary>
    public const double Tolerance = 1e-9;

    /// <summary>Why a source of a stream may have a mean, or null where it has none.</summary>
    public static string? Refuse(Graph graph, ValueUses uses, Value source) => graph.OpOf(source) switch
    {
        Center => null,
        Linear linear => Matrix(linear.Weight, 1) ?? Rows(linear.Bias) ?? linear.Adapters.Select(a => a is null ? null : Matrix(a.B, 1)).FirstOrDefault(r => r is not null),
        Embed embed => Rows(embed.Table),
        CombineExperts when StreamWriters.ExpertsOf(graph, uses, source.Node) is int node && graph.Nodes[node].Op is ExpertLinear experts => Matrix(experts.Weight, experts.Experts) ?? Rows(experts.Bias),
        Norm => "the stream is itself the output of a norm with its gain and bias, so its mean depends on the data",
        var op => $"what {op.Name} writes may have a mean",
    };

    /// <summary>A writer with its outputs centered; itself where it is already.</summary>
    public static Weight Centered(Weight weight, int blocks) => IsCentered(weight, blocks) ? weight : new MapOutputWeight(weight, new RankOneMap(RankOneKind.Center, checked((int)(weight.Rows / blocks))), blocks);

    /// <summary>Rows with their means taken away; themselves where they have none.</summary>
    public static Weight CenteredRows(Weight rows) => IsCenteredRows(rows) ? rows : new MapInputWeight(rows, new RankOneMap(RankOneKind.Center, rows.Width));

    private static bool IsCentered(Weight weight, int blocks) => weight is MapOutputWeight { Map.Kind: RankOneKind.Center } map && map.Blocks == blocks;

    private static bool IsCenteredRows(Weight rows) => rows is MapInputWeight { Map.Kind: RankOneKind.Center, Groups: 1 };

    private static string? Matrix(Weight weight, int blocks)
    {
        if (IsCentered(weight, blocks)) return null;
        weight.Prepare();
        int perBlock = checked((int)(weight.Rows / blocks));
        var (row, sums) = (new double[weight.Width], new double[weight.Width]);
        double along = 0, energy = 0;
        for (long r = 0; r < weight.Rows; r++)
        {
            weight.Read(r, 1, row);
            for (int c = 0; c < row.Length; c++)
            {
                sums[c] += row[c];
                energy += row[c] * row[c];
            }
            if ((r + 1) % perBlock != 0) continue;
            along += sums.Sum(s => s * s) / perBlock;
            Array.Clear(sums);
        }
        return Judge(weight, along, energy);
    }

    private static string? Rows(Weight? rows)
    {
        if (rows is null || IsCenteredRows(rows)) return null;
        rows.Prepare();
        var row = new double[rows.Width];
        double along = 0, energy = 0;
        for (long r = 0; r < rows.Rows; r++)
        {
            rows.Read(r, 1, row);
            along += Math.Pow(row.Sum(), 2) / row.Length;
            energy += row.Sum(v => v * v);
        }
        return Judge(rows, along, energy);
    }

    private static string? Judge(Weight weight, double along, double energy)
        => along <= Tolerance * energy ? null : $"{weight} writes a mean: {along / energy:E1} of its energy lies along the all-ones direction (none would be below {Tolerance:E0})";
}
