using System.Runtime.ExceptionServices;
using Tare.Execution;

namespace Tare.Capture.Running;

/// <summary>
/// Carries captured rows from a program to a sink: outputs of a step are copied into a block, full blocks go to a thread that calls the sink, and come back. There are few blocks, so memory does not grow with
/// tokens and a slow sink holds the program up; nothing is allocated for a step.
/// </summary>
internal sealed class CaptureDrain : IDisposable
{
    private const int Blocks = 3;

    private readonly IReadOnlyList<CaptureOutput> _outputs;
    private readonly OutputId[] _ids; // in the program that ran last
    private readonly int[] _first; // sites that are the same value are copied once
    private readonly BlockQueue _full = new(Blocks), _empty = new(Blocks);
    private readonly ICaptureSink _sink;
    private readonly Thread _thread;
    private ProgramSignature _signature;
    private CaptureBlock? _current;
    private volatile ExceptionDispatchInfo? _fault;
    private bool _ended;

    public CaptureDrain(IReadOnlyList<CaptureOutput> outputs, ProgramSignature signature, ICaptureSink sink, int blockRows)
    {
        (_outputs, _sink, _signature) = (outputs, sink, signature);
        _ids = [.. outputs.Select(o => signature.Output(o.Output))];
        _first = [.. outputs.Select(o => outputs.TakeWhile(p => p.Output != o.Output).Count())];
        for (int i = 0; i < Blocks; i++) _empty.Add(new CaptureBlock(outputs, _first, blockRows));
        _thread = new Thread(Drain) { IsBackground = true, Name = "tare capture" };
        _thread.Start();
    }

    /// <summary>Rows of a block that holds about four MiB of all outputs.</summary>
    public static int BlockRows(IReadOnlyList<CaptureOutput> outputs) => Math.Clamp((1 << 20) / Math.Max(1, outputs.Sum(o => o.Width)), 16, 1024);

    /// <summary>Copies rows of a finished step of a program that has all outputs, wherever they stand: <paramref name="labels"/> [rows of the step]; rows with Row &lt; 0 are left out.</summary>
    public void Append(IProgram program, StepTicket ticket, ReadOnlySpan<RowLabel> labels)
    {
        if (!ReferenceEquals(program.Signature, _signature))
        {
            _signature = program.Signature;
            for (int o = 0; o < _ids.Length; o++) _ids[o] = _signature.Output(_outputs[o].Output);
        }
        for (int at = 0; at < labels.Length;)
        {
            if (labels[at].Row < 0)
            {
                at++;
                continue;
            }
            var block = _current ??= Take();
            int count = 0, first = block.Rows;
            while (at + count < labels.Length && labels[at + count].Row >= 0 && block.Rows < block.Capacity) block.Add(labels[at + count++]);
            for (int o = 0; o < _ids.Length; o++)
            {
                if (_first[o] != o) continue;
                int width = _outputs[o].Width;
                block.Fill(o, first, program.Output<float>(ticket, _ids[o]).Slice(at * width, count * width));
            }
            at += count;
            if (block.Rows == block.Capacity) Hand();
        }
    }

    /// <summary>Hands over what was copied and waits until the sink has seen all of it.</summary>
    public void Flush()
    {
        if (_current is { Rows: > 0 }) Hand();
        _empty.WaitFor(_current is null ? Blocks : Blocks - 1);
        _fault?.Throw();
    }

    /// <summary>Tells the sink of positions that are not captured.</summary>
    public void Missing(long sequence, int firstPosition, int count)
    {
        lock (_sink) _sink.Missing(sequence, firstPosition, count);
    }

    /// <summary>Hands over what was copied and waits for the sink to have seen it; the sink's fault is thrown here.</summary>
    public void Finish()
    {
        if (_current is { Rows: > 0 }) Hand();
        End();
        _fault?.Throw();
        _sink.Complete();
    }

    public void Dispose() => End();

    private void End()
    {
        if (_ended) return;
        _ended = true;
        _full.End();
        _thread.Join();
    }

    private void Hand()
    {
        var block = _current!;
        _current = null;
        _full.Add(block);
        _fault?.Throw();
    }

    private CaptureBlock Take()
    {
        var block = _empty.Take()!;
        block.Rows = 0;
        return block;
    }

    // After a fault blocks still come back, so that the producer does not hang before it learns of it.
    private void Drain()
    {
        while (_full.Take() is { } block)
        {
            try
            {
                if (_fault is null)
                    lock (_sink) _sink.Write(block);
            }
            catch (Exception e)
            {
                _fault = ExceptionDispatchInfo.Capture(e);
            }
            _empty.Add(block);
        }
    }
}
