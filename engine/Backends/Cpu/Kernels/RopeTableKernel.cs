using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Cosines and sines of the step's rows, computed in double, as coefficients of y = x · A + x' · B, where x' is the pair's other element: A [rows, 2 · pairs] holds cosines, B [rows, 2 · pairs] sines
/// with the sign of the first element, both in the order of the rotated elements.
/// </summary>
internal sealed unsafe class RopeTableKernel : CpuKernel, IDisposable
{
    private readonly RopeSpec _spec;
    private readonly NativeBuffer<float> _cosines, _sines;
    private readonly double[] _frequencies; // [pairs]
    private readonly double[][] _changed;   // [threads][pairs], for lengths beyond the original

    public RopeTableKernel(KernelContext context, RopeSpec spec)
    {
        _spec = spec;
        _frequencies = [.. spec.InverseFrequencies];
        _changed = spec.Dynamic is null ? [] : [.. Enumerable.Range(0, context.Threads).Select(_ => new double[_frequencies.Length])];
        _cosines = new NativeBuffer<float>((long)context.Limits.MaxRows * spec.RotatedWidth);
        _sines = new NativeBuffer<float>((long)context.Limits.MaxRows * spec.RotatedWidth);
    }

    public float* Cosines => _cosines.Pointer;

    public float* Sines => _sines.Pointer;

    public bool Serves(RopeSpec spec) => spec with { Heads = _spec.Heads, HeadWidth = _spec.HeadWidth, Offset = _spec.Offset } == _spec;

    public override RowAxis? RowLocal => RowAxis.Rows;

    public override bool IsSerial(CpuStep step) => step.Rows == 1;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.Rows, thread, threads);
        RunRows(step, first, end, thread);
    }

    public override void RunRows(CpuStep step, int first, int end, int thread)
    {
        int width = _spec.RotatedWidth, pairs = width / 2;
        int filled = -1; // the length that this thread's table is for
        for (int r = first; r < end; r++)
        {
            int length = step.Sequences[step.SequenceOf[r]].Length;
            double[] frequencies = _spec.Dynamic is not null && length > _spec.Dynamic.OriginalLength ? _changed[thread] : _frequencies;
            if (frequencies != _frequencies && length != filled) _spec.Dynamic!.Fill(filled = length, frequencies);
            float* cosines = _cosines.Pointer + (long)r * width, sines = _sines.Pointer + (long)r * width;
            for (int i = 0; i < pairs; i++)
            {
                var (sin, cos) = Math.SinCos(step.Positions[r] * frequencies[i]);
                int a = _spec.Pairing == RopePairing.Halves ? i : 2 * i, b = _spec.Pairing == RopePairing.Halves ? i + pairs : 2 * i + 1;
                cosines[a] = cosines[b] = (float)(cos * _spec.Magnitude);
                sines[b] = (float)(sin * _spec.Magnitude);
                sines[a] = -sines[b];
            }
        }
    }

    public void Dispose()
    {
        _cosines.Dispose();
        _sines.Dispose();
    }
}
