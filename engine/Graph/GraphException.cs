namespace Tare.Graphs;

/// <summary>A graph that is not legal; the message names the node, the op and what is wrong.</summary>
public sealed class GraphException : Exception
{
    /// <summary>Creates the error.</summary>
    public GraphException(string message) : base(message) { }
}
