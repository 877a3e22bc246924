using System.Diagnostics;
using System.Threading.Channels;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Generation.Sampling;
using Tare.Tokenizers;

namespace Tare.Generation;

/// <summary>A request inside the engine loop: its tokens, its pages, its sampler, its channel. Touched by the loop thread alone, apart from <see cref="Channel"/> and <see cref="Cancel"/>.</summary>
internal sealed class Request
{
    private static long _count;

    private readonly IncrementalDecoder? _decoder;
    private readonly StopMatcher _stops;
    private long _admitted, _firstToken;
    private bool _stopped;

    public Request(IEnumerable<int> prompt, GenerationOptions options, int vocabulary, int context, Tokenizer? tokenizer, CancellationToken cancel)
    {
        Tokens = [.. prompt];
        PromptTokens = Tokens.Count;
        (Options, Cancel) = (options, cancel);
        MaxLength = options.MaxTokens is int most ? (int)Math.Min(context, (long)PromptTokens + most) : context;
        Sampler = new Sampler(options.Sampling, vocabulary, options.Sampling.DryMultiplier > 0 ? SequenceBreakers.Find(tokenizer, options.Sampling.DrySequenceBreakers) : null);
        _decoder = tokenizer?.CreateDecoder(skipSpecial: true);
        _stops = new StopMatcher(options.Stop);
        Channel = System.Threading.Channels.Channel.CreateUnbounded<GeneratedPiece>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    }

    /// <summary>Number of the request in this process: what captured rows call their sequence.</summary>
    public long Id { get; } = Interlocked.Increment(ref _count) - 1;

    public GenerationOptions Options { get; }

    public CancellationToken Cancel { get; }

    /// <summary>Prompt and generated tokens.</summary>
    public List<int> Tokens { get; }

    public int PromptTokens { get; }

    public int ReusedTokens { get; set; }

    /// <summary>Tokens that the sequence can have at most: MaxTokens and the context.</summary>
    public int MaxLength { get; }

    public Sampler Sampler { get; }

    /// <summary>What is done to its rows; null = nothing.</summary>
    public EditEntry? Edits { get; init; }

    /// <summary>Slot of <see cref="Edits"/> in the table while it runs.</summary>
    public int EditSlot { get; set; }

    /// <summary>Row selections that applied to the positions in <see cref="Cache"/>; empty without edits.</summary>
    public List<ulong> EditRows { get; } = [];

    public KvSequence? Cache { get; set; }

    /// <summary>The session whose pages it goes on with, or null.</summary>
    public Session? Session { get; init; }

    public Channel<GeneratedPiece> Channel { get; }

    public int Generated => Tokens.Count - PromptTokens;

    /// <summary>The row selections of a position whose token is known.</summary>
    public ulong EditRowsOf(int position) => Edits!.Rows(position, Tokens[position], position < PromptTokens ? Phase.Prompt : Phase.Generated, PromptTokens);

    /// <summary>What the positions in the cache have been through.</summary>
    public EditMarks Marks => Edits is null ? default : new EditMarks(Edits.Key, [.. EditRows]);

    public void Admit() => _admitted = Stopwatch.GetTimestamp();

    /// <summary>Takes a chosen token. Returns the reason when the request has ended.</summary>
    public FinishReason? Push(int id, bool ends, ReadOnlySpan<float> logits, int context)
    {
        if (_firstToken == 0) _firstToken = Stopwatch.GetTimestamp();
        if (ends && !Options.IgnoreEnd) return FinishReason.Stop;
        Tokens.Add(id);
        string text = _stops.Push(_decoder?.Push(id) ?? "", out _stopped);
        var piece = new GeneratedPiece(id, text);
        if (Options.LogProbabilities is int top) piece = piece with { LogProbability = Diagnostics.LogProbability.Of(logits, id), Top = [.. Sampler.Top(logits, top)] };
        Channel.Writer.TryWrite(piece);
        if (_stopped) return FinishReason.Stop;
        if (Options.MaxTokens is int most && Generated >= most) return FinishReason.Length;
        return Tokens.Count >= context ? FinishReason.ContextFull : null;
    }

    /// <summary>Writes the last piece.</summary>
    public void Finish(FinishReason reason)
    {
        long now = Stopwatch.GetTimestamp();
        string rest = _stopped ? "" : _stops.Push(_decoder?.Flush() ?? "", out _) + _stops.Flush();
        var timings = new GenerationTimings(PromptTokens, ReusedTokens, Seconds(_admitted, _firstToken == 0 ? now : _firstToken), Generated, _firstToken == 0 ? 0 : Seconds(_firstToken, now));
        Channel.Writer.TryWrite(new GeneratedPiece(null, rest) { Finish = reason, Timings = timings });
        Channel.Writer.TryComplete();
    }

    public void Fail(Exception error) => Channel.Writer.TryComplete(error);

    private static double Seconds(long from, long to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds;
}
