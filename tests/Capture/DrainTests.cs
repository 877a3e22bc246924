using System.Runtime.InteropServices;
using Tare.Backends.Cpu;
using Tare.Capture;
using Tare.Capture.Running;
using Tare.Capture.Statistics;
using Tare.Execution;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>What carries rows from a program into statistics allocates nothing for them. Only the threads that do it are counted, so nothing else in the process matters.</summary>
public sealed class DrainTests
{
    private const int StepRows = 16;

    private static readonly CaptureSpec Spec = new() { Statistics = $"{SiteNames.Stream},{SiteNames.Heads}", Channels = true };

    [Fact]
    public void Neither_the_thread_that_computes_nor_the_one_that_drains_allocates_for_a_row()
    {
        var capture = Spec.Apply(new RandomModel(Blocks: 2).Build());
        using var backend = new CpuBackend(1);
        using var weights = backend.CreateWeightStore();
        using var program = backend.Compile(capture.Graph, weights, new ProgramLimits(StepRows, 1, 1));
        var layout = StateLayout.ForOneSequence(program.Signature.Kv, StepRows, StepRows);
        using var state = backend.CreateState(layout);
        var (table, starts) = layout.TablesOfOneSequence(StepRows);
        var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, StepRows, 0, Phase.Prompt, StepRows)], Tokens = new int[StepRows], Pages = table, PageStarts = starts, OutputRows = [0] }, [state]);
        var sink = new Counting(new StatisticsSink(capture));
        using var drain = new CaptureDrain(capture.Outputs, program.Signature, sink, 64);
        var labels = new List<RowLabel>();
        long row = 0, here = 0;
        // The first rows find batches and scratch that are not there yet; all rows are of one chunk.
        for (int step = 0; step < 250; step++)
        {
            labels.Clear();
            for (int i = 0; i < StepRows; i++) labels.Add(new RowLabel(row++, step, i, 0, step % 2 == 0 ? Phase.Prompt : Phase.Generated));
            long before = GC.GetAllocatedBytesForCurrentThread();
            drain.Append(program, ticket, CollectionsMarshal.AsSpan(labels));
            if (step % 10 == 9) drain.Flush();
            if (step >= 100) here += GC.GetAllocatedBytesForCurrentThread() - before;
        }
        drain.Finish();
        here.ShouldBe(0);
        sink.Allocated.Count.ShouldBeGreaterThan(50);
        sink.Allocated.Skip(sink.Allocated.Count / 2).Sum().ShouldBe(0);
        ((StatisticsSink)sink.Inner).Result!.ShouldAllBe(s => s.Columns.Sum(c => c.Count) == row);
    }

    [Fact]
    public void Chunk_after_chunk_goes_into_the_memory_of_the_ones_before()
    {
        var capture = new CaptureSpec { Statistics = SiteNames.Stream }.Apply(new RandomModel(Blocks: 1).Build());
        int[] first = [.. capture.Outputs.Select(o => capture.Outputs.TakeWhile(p => p.Output != o.Output).Count())];
        const int Rows = PairwiseMerge.ChunkRows / 4;
        var block = new CaptureBlock(capture.Outputs, first, Rows);
        var sink = new StatisticsSink(capture);
        var random = new Random(5);
        for (int o = 0; o < first.Length; o++)
            if (first[o] == o) block.Fill(o, 0, [.. Enumerable.Range(0, Rows * capture.Outputs[o].Width).Select(i => i % 16 == 13 ? 0 : (float)random.NextDouble())]);
        // 33 to 63 chunks need the partial results of 32, whose memory is there.
        Write(33);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Write(63);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);
        sink.Complete();
        sink.Result![0].Columns.Sum(c => c.Count).ShouldBe(63 * PairwiseMerge.ChunkRows);

        void Write(int chunks)
        {
            for (; _row < (long)chunks * PairwiseMerge.ChunkRows; _row += Rows)
            {
                block.Rows = 0;
                for (int i = 0; i < Rows; i++) block.Add(new RowLabel(_row + i, 0, (int)(i % 40), 0, Phase.Prompt));
                sink.Write(block);
            }
        }
    }

    private long _row;

    // Bytes that the calling thread has allocated since the call before.
    private sealed class Counting(ICaptureSink inner) : ICaptureSink
    {
        private long _last;

        public ICaptureSink Inner => inner;

        public List<long> Allocated { get; } = new(1024);

        public void Write(CaptureBlock block)
        {
            inner.Write(block);
            long now = GC.GetAllocatedBytesForCurrentThread();
            Allocated.Add(now - _last);
            _last = now;
        }

        public void Missing(long sequence, int firstPosition, int count) => inner.Missing(sequence, firstPosition, count);

        public void Complete() => inner.Complete();
    }

    [Fact]
    public void The_arc_cosine_of_angles_is_right_to_the_last_bits()
    {
        for (int i = -1000; i <= 1000; i++)
        {
            double x = i / 1000.0;
            ArcCosine.Of(System.Runtime.Intrinsics.Vector512.Create(x))[0].ShouldBe(Math.Acos(x), 5e-16 * Math.Max(1, Math.Acos(x)), $"{x}");
        }
    }
}
