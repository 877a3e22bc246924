using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Chooses the experts of each row: ids [rows, used], best first, ties to the lower id, and their weights [rows, used].</summary>
internal sealed unsafe class RouterFunction : RowFunction
{
    private readonly RouterSpec _spec;
    private readonly float* _correction; // [experts] or null

    public RouterFunction(KernelContext context, Router op)
    {
        _spec = op.Spec;
        _correction = op.Correction is null ? null : context.Weights.Values(op.Correction).Pointer;
    }

    public override long ScratchBytes => (2L * (_spec.Experts + Lanes.Count) + _spec.Groups) * sizeof(float);

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        float* scores = (float*)scratch, choice = scores + _spec.Experts + Lanes.Count, groups = choice + _spec.Experts + Lanes.Count;
        for (int r = 0; r < count; r++)
        {
            Score(x[0][r], scores);
            for (int e = 0; e < _spec.Experts; e++) choice[e] = scores[e] + (_correction is null ? 0 : _correction[e]);
            if (_spec.UsedGroups < _spec.Groups) KeepBestGroups(choice, groups);
            int* ids = (int*)y[0][r];
            float* weights = y[1][r];
            float sum = 0;
            for (int j = 0; j < _spec.UsedExperts; j++)
            {
                int best = Best(choice, _spec.Experts);
                choice[best] = float.NaN; // taken
                (ids[j], weights[j]) = (best, scores[best]);
                sum += scores[best];
            }
            float divisor = _spec.Normalize ? sum + (float)_spec.NormalizeEpsilon : 1;
            for (int j = 0; j < _spec.UsedExperts; j++) weights[j] = weights[j] / divisor * (float)_spec.Scale;
        }
    }

    // The first of the largest; values that are not a number lose, but some index is always given.
    private static int Best(float* values, int count)
    {
        int best = -1;
        for (int i = 0; i < count; i++)
            if (!float.IsNaN(values[i]) && (best < 0 || values[i] > values[best])) best = i;
        return Math.Max(best, 0);
    }

    private void KeepBestGroups(float* choice, float* groups)
    {
        int size = _spec.Experts / _spec.Groups;
        for (int g = 0; g < _spec.Groups; g++)
        {
            float first = float.NegativeInfinity, second = float.NegativeInfinity;
            for (int e = g * size; e < (g + 1) * size; e++)
                if (choice[e] > first) (first, second) = (choice[e], first);
                else if (choice[e] > second) second = choice[e];
            groups[g] = first + second;
        }
        for (int used = 0; used < _spec.UsedGroups; used++) groups[Best(groups, _spec.Groups)] = float.NaN; // NaN marks what stays
        for (int g = 0; g < _spec.Groups; g++)
            if (!float.IsNaN(groups[g]))
                for (int e = g * size; e < (g + 1) * size; e++) choice[e] = float.NaN;
    }

    private void Score(float* logits, float* scores)
    {
        int experts = _spec.Experts;
        float maximum = logits[0];
        for (int e = 1; e < experts; e++) maximum = MathF.Max(maximum, logits[e]);
        for (int e = 0; e < experts; e += Lanes.Count)
        {
            var v = Lanes.Load(logits + e, experts - e);
            v = _spec.Score == RouterScore.Sigmoid ? Functions.Sigmoid(v) : Functions.Exp(v - System.Runtime.Intrinsics.Vector512.Create(maximum));
            Lanes.Store(v, scores + e, experts - e);
        }
        if (_spec.Score == RouterScore.Sigmoid) return;
        float sum = 0;
        for (int e = 0; e < experts; e++) sum += scores[e];
        for (int e = 0; e < experts; e++) scores[e] /= sum;
    }
}
