namespace Tare.Formats;

/// <summary>A model file that can't be used: the message names the file, the field and the value at fault.</summary>
public sealed class ModelFileException : Exception
{
    /// <summary>Creates the error for one file: <c>path: message</c>.</summary>
    public ModelFileException(string path, string message, Exception? inner = null) : base($"{path}: {message}", inner) => Path = path;

    /// <summary>The file at fault.</summary>
    public string Path { get; }
}
