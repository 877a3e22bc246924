using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Tare.Backends.Cpu;

/// <summary>Work that all threads of a pool run together, meeting at barriers.</summary>
internal interface IPoolWork
{
    /// <summary>Runs the part of a thread (0 = the caller). All threads must pass the same number of barriers and end with one.</summary>
    void Run(int thread);

    /// <summary>Runs what one thread does alone while the others wait at a barrier.</summary>
    /// <param name="item">What the threads gave to <see cref="WorkerPool.Barrier"/>.</param>
    /// <param name="thread">The thread that does it.</param>
    void RunAlone(int item, int thread) { }
}

/// <summary>
/// Persistent threads that run one piece of work at a time together with the caller. Parts are given by thread number (static partition). Between pieces the threads spin for a moment, as
/// the next step of a generation follows at once, then sleep.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    private const int SpinsBeforeSleep = 4000, SpinsBeforeYield = 1000, CrowdedSpins = 10;

    private readonly Thread[] _workers;
    private readonly object _wake = new(); // Monitor, as its waits allocate nothing
    private readonly Lock _lock = new();
    private readonly int _spins; // at a barrier before the processor is offered to others: few where there are more threads than processors
    private Shared _shared;
    private IPoolWork? _work;
    private volatile bool _disposed;

    public WorkerPool(int threads)
    {
        Threads = threads;
        _spins = threads > Environment.ProcessorCount ? CrowdedSpins : SpinsBeforeYield;
        _workers = new Thread[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            int index = i;
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
                Wake();
            }
            work.Run(0);
        }
    }

    /// <summary>Waits until all threads are here. Given work, the last one to come does its part <paramref name="item"/> before the others go on.</summary>
    public void Barrier(int thread, IPoolWork? alone = null, int item = 0)
    {
        if (_workers.Length == 0)
        {
            alone?.RunAlone(item, thread);
            return;
        }
        int phase = Volatile.Read(ref _shared.Phase);
        if (Interlocked.Increment(ref _shared.Arrived) == Threads)
        {
            alone?.RunAlone(item, thread);
            _shared.Arrived = 0;
            Volatile.Write(ref _shared.Phase, phase + 1);
            return;
        }
        for (int spins = 0; Volatile.Read(ref _shared.Phase) == phase; spins++) Pause(spins > _spins);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            Interlocked.Increment(ref _shared.Generation);
            Wake();
        }
        foreach (var worker in _workers) worker.Join();
    }

    private void Wake()
    {
        if (Volatile.Read(ref _shared.Asleep) == 0) return;
        lock (_wake) Monitor.PulseAll(_wake);
    }

    private void Work(int index)
    {
        int seen = 0;
        while (true)
        {
            for (int spins = 0; Volatile.Read(ref _shared.Generation) == seen && spins < SpinsBeforeSleep; spins++) Pause(spins > _spins);
            if (Volatile.Read(ref _shared.Generation) == seen)
                lock (_wake)
                {
                    // The increment is a full fence: either this thread sees the new generation, or Wake sees that it sleeps.
                    Interlocked.Increment(ref _shared.Asleep);
                    while (Volatile.Read(ref _shared.Generation) == seen) Monitor.Wait(_wake);
                    Interlocked.Decrement(ref _shared.Asleep);
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

    [StructLayout(LayoutKind.Explicit, Size = 640)]
    private struct Shared
    {
        [FieldOffset(128)] public int Generation;
        [FieldOffset(256)] public int Arrived;
        [FieldOffset(384)] public int Phase;
        [FieldOffset(512)] public int Asleep;
    }
}
