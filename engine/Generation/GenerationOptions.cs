using System.Collections.Immutable;
using Tare.Capture.Editing;

namespace Tare.Generation;

/// <summary>What one request asks for.</summary>
public sealed record GenerationOptions
{
    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>Most tokens to generate; null = until the model ends or the context is full.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Strings that end the text; they are not part of it.</summary>
    public ImmutableArray<string> Stop { get; init; } = [];

    /// <summary>Go on after a token that ends generation.</summary>
    public bool IgnoreEnd { get; init; }

    /// <summary>
    /// Edits of this request's rows, in order. Requests with different edits, and with none, share steps. A phase is what a row is in this request: what an earlier generation of the session produced is prompt here.
    /// </summary>
    public ImmutableArray<EditSpec> Edits { get; init; } = [];

    /// <summary>Give ln probabilities of chosen tokens and of this many most probable ones; null = none.</summary>
    public int? LogProbabilities { get; init; }
}

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>A token that ends generation, or a stop string.</summary>
    Stop,

    /// <summary>MaxTokens is reached.</summary>
    Length,

    /// <summary>The context is full.</summary>
    ContextFull,
}

/// <summary>A token with the natural logarithm of its probability.</summary>
public readonly record struct TokenLogProbability(int Id, double LogProbability);

/// <summary>Where the time of a request went.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="ReusedTokens">Of them taken from the prefix index.</param>
/// <param name="PromptSeconds">From admission to the first chosen token.</param>
/// <param name="GeneratedTokens">Chosen tokens.</param>
/// <param name="GenerationSeconds">From the first to the last chosen token.</param>
public sealed record GenerationTimings(int PromptTokens, int ReusedTokens, double PromptSeconds, int GeneratedTokens, double GenerationSeconds);

/// <summary>A piece of a generation: one token each, then a last piece with the reason of the end.</summary>
/// <param name="Id">The token, or null in the last piece.</param>
/// <param name="Text">The text that became certain with it; may be empty, never holds half a character.</param>
public sealed record GeneratedPiece(int? Id, string Text)
{
    /// <summary>The token's ln probability where asked for.</summary>
    public double? LogProbability { get; init; }

    /// <summary>The most probable tokens where asked for, best first.</summary>
    public ImmutableArray<TokenLogProbability> Top { get; init; } = [];

    /// <summary>Set in the last piece.</summary>
    public FinishReason? Finish { get; init; }

    /// <summary>Set in the last piece.</summary>
    public GenerationTimings? Timings { get; init; }
}

/// <summary>A prompt that does not fit the context.</summary>
public sealed class ContextFullException : Exception
{
    /// <summary>Creates the error.</summary>
    public ContextFullException(int tokens, int context) : base($"the prompt of {tokens} tokens does not fit a context of {context} tokens (one must be left to generate)") { }
}
