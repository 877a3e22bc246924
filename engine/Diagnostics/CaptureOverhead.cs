using System.Diagnostics;
using Tare.Capture;
using Tare.Capture.Running;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>A relative change with its 95% interval (percentile bootstrap of the median over pairs).</summary>
public readonly record struct Change(double Median, double Low, double High);

/// <summary>What capturing cost: time on / time off − 1.</summary>
/// <param name="Pairs">Pairs of neighboring runs.</param>
/// <param name="TokensPerSecond">Median without capture.</param>
/// <param name="Overhead">On against off.</param>
/// <param name="Control">Off against off of the same rounds: what the method itself shows where there is nothing.</param>
/// <param name="ProcessorOverhead">On against off in processor time of the whole process: bears company on the machine, but counts threads that wait by spinning; meant for one thread.</param>
/// <param name="ProcessorControl">Off against off in processor time.</param>
public sealed record OverheadReport(int Pairs, double TokensPerSecond, Change Overhead, Change Control, Change ProcessorOverhead, Change ProcessorControl);

/// <summary>
/// The cost of a capture, drain and accumulation included: both variants stay compiled in one process over the same weights and state and run in turns, off on on off, on the same tokens. A run with capture ends when
/// its sink has seen the last row.
/// </summary>
public sealed class CaptureOverhead : IDisposable
{
    private readonly IProgram _off, _on;
    private readonly IState _state;
    private readonly CaptureDrain _drain;
    private readonly List<RowLabel> _labels = [];
    private readonly int _pages, _vocabulary;
    private long _row;

    /// <summary>Compiles both variants.</summary>
    public CaptureOverhead(IBackend backend, Graph graph, IWeightStore weights, CaptureSpec spec, int context, int batch = 512)
    {
        var capture = spec.Apply(graph);
        var limits = new ProgramLimits(Math.Min(batch, context), 1, 1);
        _off = backend.Compile(graph.WithOutputs(graph.Outputs), weights, limits);
        _on = backend.Compile(capture.Graph, weights, limits);
        _pages = (context + KvLayout.PageTokens - 1) / KvLayout.PageTokens;
        _state = backend.CreateState(new StateLayout(_off.Signature.Kv, [.. _off.Signature.Kv.Groups.Select(_ => _pages)]));
        ICaptureSink sink = spec.Statistics is null ? new RowsSink(capture, 256, (_, _) => { }) : new StatisticsSink(capture); // rows are collected and not written
        _drain = new CaptureDrain(capture.Outputs, _on.Signature, sink, CaptureDrain.BlockRows(capture.Outputs));
        _vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput) ?? throw new GraphException("the model has no head")).Width;
        Outputs = capture.Outputs.Count;
    }

    /// <summary>Captured outputs.</summary>
    public int Outputs { get; }

    /// <summary>Runs rounds of off on on off after one that is dropped.</summary>
    public OverheadReport Run(ThroughputTest test, int rounds, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        if (test.Depth > 0) Tokens(_off, 0, test.Depth, one: false, cancel);
        List<double> changes = [], controls = [], speeds = [], processor = [], processorControls = [];
        for (int r = -1; r < rounds; r++)
        {
            var ((a, cpuA), (b, cpuB), (c, cpuC), (d, cpuD)) = (Time(_off), Time(_on), Time(_on), Time(_off));
            if (r < 0) continue;
            changes.AddRange([b / a - 1, c / d - 1]);
            controls.Add(r % 2 == 0 ? d / a - 1 : a / d - 1);
            processor.AddRange([cpuB / cpuA - 1, cpuC / cpuD - 1]);
            processorControls.Add(r % 2 == 0 ? cpuD / cpuA - 1 : cpuA / cpuD - 1);
            speeds.Add((test.Prompt + test.Generate) * 2 / (a + d));
            progress?.Report((r + 1, rounds));
        }
        return new OverheadReport(changes.Count, Median([.. speeds.Order()]), Bootstrap(changes), Bootstrap(controls), Bootstrap(processor), Bootstrap(processorControls));

        (double Seconds, double Processor) Time(IProgram program)
        {
            var used = Environment.CpuUsage.TotalTime;
            long start = Stopwatch.GetTimestamp();
            Tokens(program, test.Depth, test.Prompt + test.Generate, test.Prompt == 0, cancel);
            if (program == _on) _drain.Flush();
            return (Stopwatch.GetElapsedTime(start).TotalSeconds, (Environment.CpuUsage.TotalTime - used).TotalSeconds);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _drain.Dispose();
        _on.Dispose();
        _off.Dispose();
        _state.Dispose();
    }

    private void Tokens(IProgram program, int position, int count, bool one, CancellationToken cancel)
    {
        int batch = one ? 1 : program.Signature.Limits.MaxRows;
        for (int done = 0; done < count; done += batch) Step(program, position + done, Math.Min(batch, count - done), one ? Phase.Generated : Phase.Prompt, cancel);
    }

    private void Step(IProgram program, int position, int rows, Phase phase, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        int groups = _state.Layout.Kv.Groups.Length;
        int[] tokens = [.. Enumerable.Range(position, rows).Select(p => (int)((uint)p * 2654435761u % (uint)_vocabulary))];
        var ticket = program.Enqueue(new Step
        {
            Sequences = [new SequenceRows(0, 0, rows, position, phase, position + rows)],
            Tokens = tokens,
            Pages = Enumerable.Range(0, groups).SelectMany(_ => Enumerable.Range(0, _pages)).ToArray(),
            PageStarts = groups == 0 ? [] : Enumerable.Range(0, groups + 1).Select(g => g * _pages).ToArray(),
            OutputRows = [rows - 1],
        }, groups == 0 ? [] : [_state]);
        program.Wait(ticket, cancel);
        if (program == _on)
        {
            _labels.Clear();
            for (int i = 0; i < rows; i++) _labels.Add(new RowLabel(_row++, 0, position + i, tokens[i], phase));
            _drain.Append(program, ticket, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_labels));
        }
        program.Release(ticket);
    }

    private static Change Bootstrap(List<double> values)
    {
        var random = new Random(1);
        var medians = new double[2000];
        for (int i = 0; i < medians.Length; i++) medians[i] = Median([.. Enumerable.Range(0, values.Count).Select(_ => values[random.Next(values.Count)]).Order()]);
        Array.Sort(medians);
        return new Change(Median([.. values.Order()]), medians[(int)(0.025 * medians.Length)], medians[(int)(0.975 * medians.Length)]);
    }

    private static double Median(double[] sorted) => sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
}
