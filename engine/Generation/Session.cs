using System.Runtime.CompilerServices;

namespace Tare.Generation;

/// <summary>
/// A conversation: its tokens so far, and the cached pages that belong to them. What is generated is appended. One generation at a time; sessions of a model run side by side.
/// </summary>
public sealed class Session : IDisposable
{
    private readonly Model _model;
    private readonly List<int> _tokens = [];
    private int _busy;

    internal Session(Model model) => _model = model;

    /// <summary>All tokens: prompts and what was generated.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Pages that are kept between generations; the loop's thread alone reads and writes it.</summary>
    internal KvSequence? Cache { get; set; }

    /// <summary>The tokens of <see cref="Cache"/>.</summary>
    internal List<int> CachedTokens { get; set; } = [];

    /// <summary>What was done to the rows of <see cref="Cache"/>.</summary>
    internal EditMarks CachedMarks { get; set; }

    internal bool IsDisposed { get; private set; }

    /// <summary>Appends a text (BOS as the model says, at the start of the conversation only; special tokens are parsed) and generates.</summary>
    public IAsyncEnumerable<GeneratedPiece> GenerateAsync(string prompt, GenerationOptions? options = null, CancellationToken cancel = default)
        => GenerateAsync(_model.Tokenizer.Encode(prompt, addSpecial: _tokens.Count == 0), options, cancel);

    /// <summary>Appends token ids and generates, piece by piece. Throws <see cref="ContextFullException"/> and <see cref="ArgumentException"/>. Ending the enumeration early cancels.</summary>
    public async IAsyncEnumerable<GeneratedPiece> GenerateAsync(IReadOnlyList<int> prompt, GenerationOptions? options = null, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (Interlocked.Exchange(ref _busy, 1) != 0) throw new InvalidOperationException("the session is generating");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        try
        {
            var request = _model.Start([.. _tokens, .. prompt], options ?? new GenerationOptions(), this, stop.Token);
            _tokens.AddRange(prompt);
            await foreach (var piece in request.Channel.Reader.ReadAllAsync(CancellationToken.None))
            {
                if (piece.Id is int id) _tokens.Add(id);
                yield return piece;
            }
        }
        finally
        {
            await stop.CancelAsync();
            Volatile.Write(ref _busy, 0);
        }
    }

    /// <summary>A second conversation with the same past; cached pages are shared until one of the two writes.</summary>
    public async Task<Session> ForkAsync()
    {
        EnsureIdle();
        var fork = _model.CreateSession();
        fork._tokens.AddRange(_tokens);
        await _model.Loop.Call(() =>
        {
            fork.CachedTokens = [.. CachedTokens];
            fork.CachedMarks = CachedMarks;
            _model.Loop.Fork(this, fork);
            return true;
        });
        return fork;
    }

    /// <summary>Forgets all but the first <paramref name="length"/> tokens.</summary>
    public async Task TruncateAsync(int length)
    {
        EnsureIdle();
        if (length < 0 || length > _tokens.Count) throw new ArgumentOutOfRangeException(nameof(length), $"{length} of {_tokens.Count} tokens");
        _tokens.RemoveRange(length, _tokens.Count - length);
        await _model.Loop.Call(() =>
        {
            _model.Loop.Truncate(this, length);
            return true;
        });
    }

    /// <summary>Gives the cached pages back.</summary>
    public void Dispose()
    {
        if (IsDisposed) return;
        IsDisposed = true;
        _ = _model.Loop.Call(() =>
        {
            _model.Loop.Release(this);
            return true;
        });
    }

    private void EnsureIdle()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (Volatile.Read(ref _busy) != 0) throw new InvalidOperationException("the session is generating");
    }
}
