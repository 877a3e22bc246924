namespace Tare.Generation.Sampling;

/// <summary>
/// The tokens that are still in the running, with their logits; buffers are kept, so that a chain of samplers allocates nothing. Ranked lazily: best first, ties to the lower id, NaN last.
/// </summary>
internal sealed class Candidates(int vocabulary)
{
    private readonly float[] _logits = new float[vocabulary];      // by token id
    private readonly ulong[] _keys = new ulong[vocabulary];        // [Count], order of rank above token id
    private readonly double[] _weights = new double[vocabulary];   // [Count]
    private bool _isRanked;

    /// <summary>How many tokens are left; at least one.</summary>
    public int Count { get; private set; }

    /// <summary>Logits of all tokens by id, to be changed before the first ranking or followed by <see cref="Changed"/>.</summary>
    public Span<float> Logits => _logits;

    /// <summary>Begins with all tokens.</summary>
    public void Start(ReadOnlySpan<float> logits)
    {
        logits.CopyTo(_logits);
        (Count, _isRanked) = (_logits.Length, false);
    }

    /// <summary>The token at a rank.</summary>
    public int Id(int rank) => (int)(uint)_keys[rank];

    /// <summary>The logit at a rank.</summary>
    public double Logit(int rank) => _logits[Id(rank)];

    /// <summary>The first of the largest; a model that gives NaN everywhere still ends in a token.</summary>
    public int Best()
    {
        int best = 0;
        for (int i = 1; i < _logits.Length; i++)
            if (_logits[i] > _logits[best] || float.IsNaN(_logits[best]) && !float.IsNaN(_logits[i])) best = i;
        return best;
    }

    /// <summary>Ranks the candidates and keeps the best <paramref name="most"/>.</summary>
    public void Rank(int most = int.MaxValue)
    {
        if (_isRanked) Keep(most);
        else if (most < Count) RankFew(most);
        else
        {
            for (int id = 0; id < _logits.Length; id++) _keys[id] = Key(id);
            _keys.AsSpan(0, Count).Sort();
        }
        _isRanked = true;
    }

    /// <summary>Ranks anew after logits were changed.</summary>
    public void Changed()
    {
        if (!_isRanked) return;
        for (int i = 0; i < Count; i++) _keys[i] = Key(Id(i));
        _keys.AsSpan(0, Count).Sort();
    }

    /// <summary>Keeps the best <paramref name="count"/>, at least one.</summary>
    public void Keep(int count) => Count = Math.Clamp(count, 1, Count);

    /// <summary>Drops the best <paramref name="count"/>; at least one stays.</summary>
    public void DropBest(int count)
    {
        count = Math.Min(count, Count - 1);
        _keys.AsSpan(count, Count - count).CopyTo(_keys);
        Count -= count;
    }

    /// <summary>Keeps the <paramref name="count"/> candidates of the lowest <paramref name="scores"/> (one a rank; they are reordered).</summary>
    public void KeepLowest(Span<double> scores, int count)
    {
        scores[..Count].Sort(_keys.AsSpan(0, Count));
        Keep(count);
        _keys.AsSpan(0, Count).Sort();
    }

    /// <summary>e^(logit − largest) of each rank and their sum; the span is overwritten by the next call.</summary>
    public Span<double> Weights(out double sum)
    {
        Rank();
        double largest = Logit(0);
        sum = 0;
        for (int i = 0; i < Count; i++) sum += _weights[i] = Math.Exp(Logit(i) - largest);
        return _weights.AsSpan(0, Count);
    }

    /// <summary>Draws by the weights; <paramref name="uniform"/> in [0, 1).</summary>
    public int Draw(double uniform) => Id(DrawRank(uniform));

    /// <summary>The rank of a draw.</summary>
    public int DrawRank(double uniform)
    {
        var weights = Weights(out double sum);
        double target = uniform * sum;
        for (int i = 0; i < weights.Length; i++)
            if ((target -= weights[i]) < 0) return i;
        return weights.Length - 1;
    }

    // A heap of the best, the worst of them on top.
    private void RankFew(int most)
    {
        var heap = _keys.AsSpan(0, most);
        for (int id = 0; id < most; id++) heap[id] = Key(id);
        for (int i = most / 2 - 1; i >= 0; i--) Sift(heap, i);
        float worst = _logits[(int)(uint)heap[0]];
        for (int id = most; id < _logits.Length; id++)
        {
            if (_logits[id] <= worst) continue;
            ulong key = Key(id);
            if (key >= heap[0]) continue; // NaN
            heap[0] = key;
            Sift(heap, 0);
            worst = _logits[(int)(uint)heap[0]];
        }
        heap.Sort();
        Count = most;
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

    // Larger logits give smaller keys; NaN comes last.
    private ulong Key(int id)
    {
        float logit = _logits[id];
        uint bits = float.IsNaN(logit) ? 0 : BitConverter.SingleToUInt32Bits(logit);
        uint ascending = (bits & 0x8000_0000) != 0 ? ~bits : bits | 0x8000_0000;
        return (ulong)(float.IsNaN(logit) ? uint.MaxValue : ~ascending) << 32 | (uint)id;
    }
}
