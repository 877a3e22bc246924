using System.Text;

namespace Tare.Tokenizers;

/// <summary>GPT-2's way to write bytes as visible characters (Radford et al. 2019): printable Latin-1 stands for itself, the other 68 bytes for U+0100 ….</summary>
internal static class ByteAlphabet
{
    /// <summary>The character of each byte [256].</summary>
    public static char[] Characters { get; } = Build();

    private static readonly Dictionary<char, byte> Bytes = Characters.Select((c, b) => (c, (byte)b)).ToDictionary(p => p.c, p => p.Item2);

    /// <summary>The bytes behind a token's text; a text with a character outside the alphabet stands for itself.</summary>
    public static byte[] Decode(string text)
    {
        var bytes = new byte[text.Length];
        for (int i = 0; i < text.Length; i++)
            if (!Bytes.TryGetValue(text[i], out bytes[i])) return Encoding.UTF8.GetBytes(text);
        return bytes;
    }

    private static char[] Build()
    {
        var characters = new char[256];
        int extra = 256;
        for (int b = 0; b < 256; b++) characters[b] = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? (char)b : (char)extra++;
        return characters;
    }
}
