using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary>The tokenizer that a model file carries.</summary>
internal static class ModelTokenizer
{
    public static Tokenizer Of(ModelFile file) => file is GgufFile gguf ? Tokenizer.FromGguf(gguf) : throw new ModelFileException(file.Path, "tokenizers are read from GGUF files only; tokenizer.json is not supported");
}
