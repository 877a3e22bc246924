namespace Tare.Backends.Cpu;

/// <summary>One node of a program, bound to its buffers and weights. All threads run it together, each its own part; between phases and after the last one they meet.</summary>
internal abstract class CpuKernel
{
    /// <summary>Phases, with a meeting of the threads after each.</summary>
    public virtual int Phases => 1;

    /// <summary>Whether the threads meet after the last phase. A kernel that only looks runs beside the next one: it has one phase, and nothing in the program reads what it writes.</summary>
    public virtual bool Meets => true;

    /// <summary>Runs a thread's part of a phase. What is computed does not depend on the number of threads.</summary>
    public abstract void Run(CpuStep step, int phase, int thread, int threads);

    /// <summary>The part of a thread of <paramref name="count"/> items: consecutive ones, as equal as can be.</summary>
    protected static (int First, int End) Part(int count, int thread, int threads) => ((int)((long)count * thread / threads), (int)((long)count * (thread + 1) / threads));
}
