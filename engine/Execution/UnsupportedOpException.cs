namespace Tare.Execution;

/// <summary>An op that a device can't run: the message names op, tensor and device. Nothing falls back silently.</summary>
public sealed class UnsupportedOpException : Exception
{
    /// <summary>Creates the error.</summary>
    public UnsupportedOpException(string message) : base(message) { }
}
