using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Rotary positions.</summary>
internal static class Rotary
{
    public static void Rotate(Rope op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        var spec = op.Spec;
        int pairs = spec.InverseFrequencies.Length;
        x[0].CopyTo(y[0], 0);
        for (int r = 0; r < step.Rows; r++)
        {
            var frequencies = spec.FrequenciesFor(step.Sequences[step.SequenceOf[r]].Length);
            for (int h = 0; h < spec.Heads; h++)
                for (int i = 0; i < pairs; i++)
                {
                    int start = r * types[0].Width + h * spec.HeadWidth + spec.Offset;
                    int first = start + (spec.Pairing == RopePairing.Halves ? i : 2 * i), second = spec.Pairing == RopePairing.Halves ? first + pairs : first + 1;
                    double angle = step.PositionOf[r] * frequencies[i];
                    double cos = Math.Cos(angle) * spec.Magnitude, sin = Math.Sin(angle) * spec.Magnitude;
                    y[0][first] = x[0][first] * cos - x[0][second] * sin;
                    y[0][second] = x[0][second] * cos + x[0][first] * sin;
                }
        }
    }
}
