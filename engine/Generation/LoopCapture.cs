using System.Runtime.InteropServices;
using Tare.Capture;
using Tare.Capture.Running;
using Tare.Execution;

namespace Tare.Generation;

/// <summary>The capture that rides on an engine loop: labels the rows of each step and carries what they gave to the sink. Used by the loop's thread alone.</summary>
internal sealed class LoopCapture(CaptureGraph capture, IProgram program, ICaptureSink sink, CaptureSpec spec) : IDisposable
{
    private readonly CaptureDrain _drain = new(capture.Outputs, program.Signature, sink, CaptureDrain.BlockRows(capture.Outputs));
    private readonly List<RowLabel> _labels = [];
    private long _row;
    private Exception? _fault;

    /// <summary>What is captured.</summary>
    public CaptureSpec Spec => spec;

    /// <summary>The variant that runs meanwhile, unless requests have edits.</summary>
    public IProgram Program => program;

    /// <summary>Whether requests must not begin with cached positions.</summary>
    public bool Recomputes => !spec.ReusePrefixes;

    public void Clear() => _labels.Clear();

    /// <summary>The rows of a request in the step that is being put together.</summary>
    public void Add(Request request, int position, int rows)
    {
        for (int i = 0; i < rows; i++)
            _labels.Add(new RowLabel(_row++, request.Id, position + i, request.Tokens[position + i], position + i < request.PromptTokens ? Phase.Prompt : Phase.Generated));
    }

    /// <summary>Positions that a request has cached are not captured.</summary>
    public void Missing(Request request)
    {
        if (request.Cache is { Length: > 0 } cache) Guard(() => _drain.Missing(request.Id, 0, cache.Length));
    }

    /// <summary>Takes the rows of a finished step of a variant. A fault of the sink ends the capture, not the conversations.</summary>
    public void Append(IProgram variant, StepTicket ticket)
    {
        if (_fault is not null) return;
        try
        {
            _drain.Append(variant, ticket, CollectionsMarshal.AsSpan(_labels));
        }
        catch (Exception e)
        {
            _fault = e;
        }
    }

    /// <summary>Waits for the sink; throws what it threw.</summary>
    public void Finish()
    {
        if (_fault is not null) throw new IOException($"the capture ended early: {_fault.Message}", _fault);
        _drain.Finish();
    }

    public void Dispose()
    {
        _drain.Dispose();
        program.Dispose();
    }

    private void Guard(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            _fault ??= e;
        }
    }
}

/// <summary>A capture that runs beside the sessions of a model; dispose it to end it. Disposing waits for the sink and throws what the sink threw.</summary>
public sealed class RunningCapture : IAsyncDisposable
{
    private readonly EngineLoop _loop;
    private readonly LoopCapture _capture;
    private bool _disposed;

    internal RunningCapture(EngineLoop loop, LoopCapture capture) => (_loop, _capture) = (loop, capture);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        try
        {
            await _loop.Call(() =>
            {
                _loop.End(_capture);
                return true;
            });
            await Task.Run(_capture.Finish);
        }
        finally
        {
            _capture.Dispose();
        }
    }
}
