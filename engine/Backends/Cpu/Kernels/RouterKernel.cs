using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Chooses the experts of each row: ids [rows, used], best first, ties to the lower id, and their weights [rows, used].</summary>
internal sealed unsafe class RouterKernel : CpuKernel
{
    private readonly KernelContext _context;
    private readonly RouterSpec _spec;
    private readonly float* _logits, _correction, _weights; // [rows, experts], [experts] or null, [rows, used]
    private readonly int* _ids;                             // [rows, used]
    private readonly RowAxis _rows;

    public RouterKernel(KernelContext context, Router op, Node node, Value value)
    {
        _context = context;
        _spec = op.Spec;
        _rows = context.TypeOf(value).Rows;
        _logits = context.Input(node, 0);
        _ids = (int*)context.Pointer(value);
        _weights = context.Pointer(value with { Output = 1 });
        _correction = op.Correction is null ? null : context.Weights.Values(op.Correction).Pointer;
        context.ReserveScratch((2L * (_spec.Experts + Lanes.Count) + _spec.Groups) * sizeof(float));
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        float* scores = (float*)_context.Scratch(thread), choice = scores + _spec.Experts + Lanes.Count, groups = choice + _spec.Experts + Lanes.Count;
        for (int r = first; r < end; r++)
        {
            Score(_logits + (long)r * _spec.Experts, scores);
            for (int e = 0; e < _spec.Experts; e++) choice[e] = scores[e] + (_correction is null ? 0 : _correction[e]);
            if (_spec.UsedGroups < _spec.Groups) KeepBestGroups(choice, groups);
            int* ids = _ids + (long)r * _spec.UsedExperts;
            float* weights = _weights + (long)r * _spec.UsedExperts;
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
