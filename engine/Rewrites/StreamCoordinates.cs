using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// How the residual stream of a rewritten graph stands to the one of the graph that it was made from: x′ = A x for a linear A that takes the mean of a row away and may store the rest in other coordinates. Vectors that
/// are added to the stream, and directions that it is measured along, change with it.
/// </summary>
public sealed class StreamCoordinates
{
    private readonly List<(string Name, Func<double[], double[]> Vector, Func<double[], double[]> Direction)> _steps = [];

    /// <summary>Whether the stream is that of the file.</summary>
    public bool IsRaw => _steps.Count == 0;

    /// <summary><c>raw</c>, or what was done: <c>centered</c>, <c>without coordinate j</c>, <c>isometric</c>.</summary>
    public string Name => IsRaw ? "raw" : string.Join(", ", _steps.Select(s => s.Name));

    /// <summary>Elements of a row before; 0 while <see cref="IsRaw"/>.</summary>
    public int SourceWidth { get; private set; }

    /// <summary>Elements of a row now.</summary>
    public int Width { get; private set; }

    /// <summary>Whether the mean of a row was taken away from a stream that had one, so that nothing that looks at it can be said any more.</summary>
    public bool LostMean { get; private set; }

    /// <summary>Whether something else than the stream changed too: the inputs of attention's products lost their means.</summary>
    public bool ChangedQueriesAndKeys { get; internal set; }

    /// <summary>Whether norms became bare or compressed, so that what they give is not what they gave.</summary>
    public bool ChangedNorms { get; internal set; }

    /// <summary>A v: what is added to the stream now where v was added before.</summary>
    public double[] Vector(ReadOnlySpan<double> v) => _steps.Aggregate(v.ToArray(), (x, step) => step.Vector(x));

    /// <summary>The direction r′ with r′·(A x) = r·x: along which the stream is measured now where r was meant before. True for every x only where r has no mean, if the stream had one.</summary>
    public double[] Direction(ReadOnlySpan<double> r) => _steps.Aggregate(r.ToArray(), (x, step) => step.Direction(x));

    /// <summary>The stream lost its mean.</summary>
    internal void Center(int width)
    {
        if (!Begin(width)) return;
        _steps.Add(("centered", Centered, Centered));
        LostMean = true;
    }

    /// <summary>The zero-mean stream lost coordinate <paramref name="index"/>, and gained zeros at the end.</summary>
    internal void Drop(int width, int index, int pad)
    {
        Begin(width);
        _steps.Add(($"without coordinate {index}", v => Without(Centered(v), index, pad), r => Without(Array.ConvertAll(r, x => x - r[index]), index, pad)));
        Width = width - 1 + pad;
    }

    /// <summary>The zero-mean stream was reflected so that its last coordinate is zero, which was dropped.</summary>
    internal void Reflect(int width, int pad)
    {
        Begin(width);
        var map = new RankOneMap(RankOneKind.Householder, width);
        double[] Reflected(double[] v)
        {
            double along = 0;
            for (int i = 0; i < v.Length; i++) along += map.U(i) * v[i];
            return Without([.. v.Select((x, i) => x - map.A(i) * along)], width - 1, pad);
        }
        _steps.Add(("isometric", v => Reflected(Centered(v)), r => Reflected(Centered(r))));
        Width = width - 1 + pad;
    }

    // False where the stream has been centered already.
    private bool Begin(int width)
    {
        if (!IsRaw) return false;
        (SourceWidth, Width) = (width, width);
        return true;
    }

    private static double[] Centered(double[] v)
    {
        double mean = v.Average();
        return Array.ConvertAll(v, x => x - mean);
    }

    private static double[] Without(double[] v, int index, int pad) => [.. v[..index], .. v[(index + 1)..], .. new double[pad]];
}
