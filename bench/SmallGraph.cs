using Tare.Backends.Cpu;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Bench;

/// <summary>A program of one op over rows of numbers, run as production code runs it, on one thread.</summary>
internal sealed class SmallGraph : IDisposable
{
    private readonly CpuBackend _backend = new(1);
    private readonly IWeightStore _weights;
    private readonly IProgram _program;
    private readonly IState? _state;
    private readonly float[] _rows; // [rows, width]
    private readonly int[] _pages;
    private readonly SequenceRows[] _sequence;

    /// <summary>Rows [rows, width] behind <paramref name="depth"/> cached positions go through what <paramref name="build"/> appends.</summary>
    public SmallGraph(int rows, int width, Func<GraphBuilder, Value, Value> build, Func<Graph, Graph>? rewrite = null, int depth = 0)
    {
        var g = new GraphBuilder();
        var x = g.Residual(width);
        Value y;
        using (g.Block(x)) y = build(g, x);
        var graph = g.Finish(new GraphOutput(GraphBuilder.HiddenOutput, y));
        _weights = _backend.CreateWeightStore();
        _program = _backend.Compile(rewrite?.Invoke(graph) ?? graph, _weights, new ProgramLimits(rows, 1, rows));
        var random = new Random(1);
        _rows = [.. Enumerable.Range(0, rows * width).Select(_ => (float)(random.NextDouble() - 0.5))];
        int pages = (depth + rows + KvLayout.PageTokens - 1) / KvLayout.PageTokens;
        var kv = _program.Signature.Kv;
        _state = kv.Groups.IsEmpty ? null : _backend.CreateState(new StateLayout(kv, [.. kv.Groups.Select(_ => pages)]));
        _pages = [.. Enumerable.Range(0, pages)];
        for (int at = 0; at < depth; at += rows)
        {
            _sequence = [new SequenceRows(0, 0, rows, at, Phase.Prompt, depth + rows)];
            Run();
        }
        _sequence = [new SequenceRows(0, 0, rows, depth, Phase.Prompt, depth + rows)];
    }

    /// <summary>One step.</summary>
    public void Run()
    {
        var ticket = _program.Enqueue(new Step { Sequences = _sequence, Residual = _rows, Pages = _state is null ? [] : _pages, PageStarts = _state is null ? [] : [0, _pages.Length] }, _state is null ? [] : [_state]);
        _program.Wait(ticket);
        _program.Release(ticket);
    }

    public void Dispose()
    {
        _state?.Dispose();
        _program.Dispose();
        _weights.Dispose();
        _backend.Dispose();
    }
}
