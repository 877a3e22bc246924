using Tare.Diagnostics;

namespace Tare.Generation;

/// <summary>Chooses tokens for one request. Buffers are kept, so that choosing allocates nothing.</summary>
internal sealed class Sampler
{
    private readonly SamplingOptions _options;
    private readonly float[] _logits;       // [vocabulary], penalized
    private readonly ulong[] _candidates;   // [vocabulary], order of rank above token id: ascending = best first, ties to the lower id
    private readonly double[] _weights;     // [vocabulary]
    private readonly ulong _seed;

    public Sampler(SamplingOptions options, int vocabulary)
    {
        options.Validate();
        _options = options;
        _logits = new float[vocabulary];
        bool greedy = options.Temperature == 0;
        _candidates = greedy ? [] : new ulong[vocabulary];
        _weights = greedy ? [] : new double[vocabulary];
        _seed = options.Seed ?? (ulong)Random.Shared.NextInt64();
    }

    /// <summary>The token after <paramref name="past"/> (prompt and generated so far), from logits [vocabulary]. The draw depends on the seed and the position only.</summary>
    public int Sample(ReadOnlySpan<float> logits, ReadOnlySpan<int> past)
    {
        logits.CopyTo(_logits);
        Penalize(past);
        if (_options.Temperature == 0) return Best(_logits);
        int count = Rank();
        count = Cut(count);
        double maximum = Logit(0), sum = 0;
        for (int i = 0; i < count; i++) sum += _weights[i] = Math.Exp((Logit(i) - maximum) / _options.Temperature);
        double target = CounterRandom.Uniform(_seed, (ulong)past.Length) * sum;
        for (int i = 0; i < count; i++)
            if ((target -= _weights[i]) < 0) return Id(i);
        return Id(count - 1);
    }

    /// <summary>The <paramref name="count"/> most probable tokens with their ln probabilities, best first.</summary>
    public static TokenLogProbability[] Top(ReadOnlySpan<float> logits, int count)
    {
        float[] values = logits.ToArray();
        int[] ids = [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).Take(count)];
        double normalizer = values[0] - LogProbability.Of(values, 0);
        return Array.ConvertAll(ids, id => new TokenLogProbability(id, values[id] - normalizer));
    }

    // The first of the largest; a model that gives NaN everywhere still ends in a token.
    private static int Best(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
            if (values[i] > values[best] || float.IsNaN(values[best]) && !float.IsNaN(values[i])) best = i;
        return best;
    }

    private void Penalize(ReadOnlySpan<int> past)
    {
        if (_options is { RepeatPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 }) return;
        var recent = _options.PenaltyTokens < 0 || _options.PenaltyTokens > past.Length ? past : past[^_options.PenaltyTokens..];
        for (int i = 0; i < recent.Length; i++)
        {
            int id = recent[i];
            if ((uint)id >= (uint)_logits.Length) continue;
            if (recent[..i].Contains(id)) continue;
            int times = 1 + recent[(i + 1)..].Count(id);
            float logit = _logits[id];
            logit = (float)(logit > 0 ? logit / _options.RepeatPenalty : logit * _options.RepeatPenalty);
            _logits[id] = (float)(logit - times * _options.FrequencyPenalty - _options.PresencePenalty);
        }
    }

    // Fills the candidates, best first; how many there are after top-k.
    private int Rank()
    {
        int k = _options.TopK is > 0 and var asked && asked < _logits.Length ? asked : _logits.Length;
        if (k == _logits.Length)
        {
            for (int id = 0; id < _logits.Length; id++) _candidates[id] = Key(id);
            _candidates.AsSpan(0, k).Sort();
            return k;
        }
        // A heap of the best k, the worst of them on top.
        var heap = _candidates.AsSpan(0, k);
        for (int id = 0; id < k; id++) heap[id] = Key(id);
        for (int i = k / 2 - 1; i >= 0; i--) Sift(heap, i);
        float worst = LogitOf(heap[0]);
        for (int id = k; id < _logits.Length; id++)
        {
            if (_logits[id] <= worst) continue;
            heap[0] = Key(id);
            Sift(heap, 0);
            worst = LogitOf(heap[0]);
        }
        heap.Sort();
        return k;
    }

    private static void Sift(Span<ulong> heap, int at)
    {
        while (true)
        {
            int child = 2 * at + 1;
            if (child >= heap.Length) return;
            if (child + 1 < heap.Length && heap[child + 1] > heap[child]) child++;
            if (heap[child] <= heap[at]) return;
            (heap[at], heap[child]) = (heap[child], heap[at]);
            at = child;
        }
    }

    // Top-p and min-p over the ranked candidates; at least one stays.
    private int Cut(int count)
    {
        double maximum = Logit(0);
        if (_options.TopP < 1)
        {
            double sum = 0, reached = 0;
            for (int i = 0; i < count; i++) sum += _weights[i] = Math.Exp(Logit(i) - maximum);
            int kept = 0;
            while (kept < count && reached < _options.TopP * sum) reached += _weights[kept++];
            count = Math.Max(1, kept);
        }
        if (_options.MinP > 0)
        {
            double least = maximum + Math.Log(_options.MinP);
            int kept = 1;
            while (kept < count && Logit(kept) >= least) kept++;
            count = kept;
        }
        return count;
    }

    private int Id(int rank) => (int)(uint)_candidates[rank];

    private double Logit(int rank) => _logits[Id(rank)];

    private float LogitOf(ulong key) => _logits[(int)(uint)key];

    // Larger logits give smaller keys; NaN comes last.
    private ulong Key(int id)
    {
        float logit = _logits[id];
        uint bits = float.IsNaN(logit) ? 0 : BitConverter.SingleToUInt32Bits(logit);
        uint ascending = (bits & 0x8000_0000) != 0 ? ~bits : bits | 0x8000_0000;
        return (ulong)(float.IsNaN(logit) ? uint.MaxValue : ~ascending) << 32 | (uint)id;
    }
}
