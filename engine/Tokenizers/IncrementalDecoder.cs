namespace Tare.Tokenizers;

/// <summary>Turns ids into text piece by piece and never gives half a character: an unfinished one waits for its rest, or becomes U+FFFD at <see cref="Flush"/>.</summary>
public abstract class IncrementalDecoder
{
    /// <summary>The text that this id completes; may be empty.</summary>
    public abstract string Push(int id);

    /// <summary>What is left at the end.</summary>
    public abstract string Flush();
}
