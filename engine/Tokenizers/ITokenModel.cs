namespace Tare.Tokenizers;

/// <summary>How plain text becomes ids, and what bytes an id stands for. Thread-safe.</summary>
internal interface ITokenModel
{
    /// <summary>Appends the ids of a stretch of text without special tokens. Returns the number of queue operations.</summary>
    long Encode(string text, bool afterSpecial, List<int> ids);

    /// <summary>The bytes of a normal token.</summary>
    byte[] Bytes(int id);

    /// <summary>Whether a text begins with a space that encoding adds and decoding takes away.</summary>
    bool HasSpacePrefix { get; }
}
