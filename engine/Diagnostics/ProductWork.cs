using Tare.Backends.Cpu.Roofline;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Diagnostics;

/// <summary>What the products of a step have to do: operations (two for each weight and row) by their arithmetic, and the stored bytes of their matrices, each read once.</summary>
/// <param name="FloatOperations">In F32.</param>
/// <param name="ByteOperations">With activations of 8 bits.</param>
/// <param name="ShortOperations">With activations of 16 bits.</param>
/// <param name="StoredBytes">Of all matrices.</param>
public sealed record ProductWork(double FloatOperations, double ByteOperations, double ShortOperations, double StoredBytes)
{
    /// <summary>All operations.</summary>
    public double Operations => FloatOperations + ByteOperations + ShortOperations;

    /// <summary>The work of <paramref name="rows"/> tokens, of which <paramref name="outputRows"/> go through the head. Products of experts are not counted: which of them run is not known.</summary>
    public static ProductWork Of(Graph graph, int rows, int outputRows)
    {
        double floats = 0, bytes = 0, shorts = 0, stored = 0;
        var seen = new HashSet<Tare.Graphs.Weights.Weight>();
        foreach (var node in graph.Nodes)
        {
            if (node.Op switch { Linear linear => linear.Weight, GroupLinear groups => groups.Weight, _ => null } is not { } weight) continue;
            double operations = 2.0 * weight.Rows * weight.Width * (graph.TypeOf(node.Inputs[0]).Rows == RowAxis.OutputRows ? outputRows : rows);
            if (graph.OpOf(node.Inputs[0]) is not QuantizeRows quantized) floats += operations;
            else if (quantized.Bits == 8) bytes += operations;
            else shorts += operations;
            if (seen.Add(weight)) stored += weight.TryGetStoredRow(0, out var row) ? weight.Rows * (double)row.Length : (double)sizeof(float) * weight.Rows * weight.Width;
        }
        return new ProductWork(floats, bytes, shorts, stored);
    }

    /// <summary>Seconds that the operations take at least, each at the roof of its arithmetic.</summary>
    public double Seconds(MachineRoof roof) => 1e-9 * (FloatOperations / roof.FloatOperations + ByteOperations / roof.ByteOperations + ShortOperations / roof.ShortOperations);
}
