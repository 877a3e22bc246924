using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu;

/// <summary>Work that all threads of a pool run together, meeting at barriers.</summary>
internal interface IPoolWork
{
    /// <summary>Runs the part of a thread (0 = the caller). All threads must pass the same number of barriers and end with one.</summary>
    void Run(int thread);
}

/// <summary>
/// Persistent threads that run one piece of work at a time together with the caller. Parts are given by thread number (static partition). Between pieces the threads spin for a moment, as
/// the next step of a generation follows at once, then sleep.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    private const int SpinsBeforeSleep = 4000, SpinsBeforeYield = 20000;

    private readonly Thread[] _workers;
    private readonly AutoResetEvent[] _wake;
    private readonly int[] _asleep; // [workers · 32], one cache line each
    private readonly Lock _lock = new();
    private Shared _shared;
    private IPoolWork? _work;
    private volatile bool _disposed;

    public WorkerPool(int threads)
    {
        Threads = threads;
        _workers = new Thread[threads - 1];
        _wake = new AutoResetEvent[threads - 1];
        _asleep = new int[(threads - 1) * 32];
        for (int i = 0; i < _workers.Length; i++)
        {
            int index = i;
            _wake[i] = new AutoResetEvent(false);
            _workers[i] = new Thread(() => Work(index)) { IsBackground = true, Name = $"tare worker {i + 1}" };
            _workers[i].Start();
        }
    }

    /// <summary>Threads that compute, the caller among them.</summary>
    public int Threads { get; }

    /// <summary>Runs a piece of work on all threads; returns when it is done. One piece at a time: a second caller waits.</summary>
    public void Run(IPoolWork work)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_workers.Length > 0)
            {
                _work = work;
                Interlocked.Increment(ref _shared.Generation);
                for (int i = 0; i < _wake.Length; i++)
                    if (Volatile.Read(ref _asleep[i * 32]) != 0) _wake[i].Set();
            }
            work.Run(0);
        }
    }

    /// <summary>Waits until all threads are here.</summary>
    public void Barrier()
    {
        if (_workers.Length == 0) return;
        int phase = Volatile.Read(ref _shared.Phase);
        if (Interlocked.Increment(ref _shared.Arrived) == Threads)
        {
            _shared.Arrived = 0;
            Volatile.Write(ref _shared.Phase, phase + 1);
            return;
        }
        for (int spins = 0; Volatile.Read(ref _shared.Phase) == phase; spins++) Pause(spins > SpinsBeforeYield);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            Interlocked.Increment(ref _shared.Generation);
            foreach (var wake in _wake) wake.Set();
        }
        foreach (var worker in _workers) worker.Join();
        foreach (var wake in _wake) wake.Dispose();
    }

    private void Work(int index)
    {
        int seen = 0;
        while (true)
        {
            for (int spins = 0; Volatile.Read(ref _shared.Generation) == seen && spins < SpinsBeforeSleep; spins++) Pause(false);
            while (Volatile.Read(ref _shared.Generation) == seen)
            {
                // The exchange is a full fence: either this thread sees the new generation, or Run sees that it sleeps.
                Interlocked.Exchange(ref _asleep[index * 32], 1);
                if (Volatile.Read(ref _shared.Generation) == seen) _wake[index].WaitOne();
                Volatile.Write(ref _asleep[index * 32], 0);
            }
            seen++;
            if (_disposed) return;
            _work!.Run(index + 1);
        }
    }

    private static void Pause(bool crowded)
    {
        if (crowded) Thread.Yield();
        else if (X86Base.IsSupported) X86Base.Pause();
        else Thread.SpinWait(1);
    }

    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Shared
    {
        [FieldOffset(128)] public int Generation;
        [FieldOffset(256)] public int Arrived;
        [FieldOffset(384)] public int Phase;
    }
}
