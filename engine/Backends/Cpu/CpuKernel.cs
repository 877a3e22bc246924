using Tare.Graphs;

namespace Tare.Backends.Cpu;

/// <summary>One node of a program, bound to its buffers and weights. What is computed does not depend on the number of threads or on who computes which rows.</summary>
internal abstract class CpuKernel
{
    /// <summary>What profiles call it.</summary>
    public virtual string Name => GetType().Name.Split('`')[0].Replace("Kernel", "", StringComparison.Ordinal);

    /// <summary>The rows that it computes, if each needs nothing but the same row of its inputs: then <see cref="RunRows"/> works. Else null.</summary>
    public virtual RowAxis? RowLocal => null;

    /// <summary>Whether the work of a step is so little that one thread should do all of it, as thread 0 of 1, while the others wait.</summary>
    public virtual bool IsSerial(CpuStep step) => false;

    /// <summary>Phases of a step on a number of threads, with a meeting of the threads after each.</summary>
    public virtual int Phases(CpuStep step, int threads) => 1;

    /// <summary>Runs a thread's part of a phase; all threads run it together.</summary>
    public abstract void Run(CpuStep step, int phase, int thread, int threads);

    /// <summary>Computes rows [<paramref name="first"/>, <paramref name="end"/>) on one thread, whose scratch it uses.</summary>
    public virtual void RunRows(CpuStep step, int first, int end, int thread) => throw new NotSupportedException();

    /// <summary>The part of a thread of <paramref name="count"/> items: consecutive ones, as equal as can be.</summary>
    protected static (int First, int End) Part(int count, int thread, int threads) => ((int)((long)count * thread / threads), (int)((long)count * (thread + 1) / threads));
}
