using Tare.Graphs;

namespace Tare.Models;

/// <summary>Turns configuration and weights of one architecture family into a graph.</summary>
internal interface IArchitecture
{
    /// <summary>Builds the graph; shapes are checked op by op.</summary>
    Graph Build(Config config, WeightSource weights);
}

/// <summary>Registers an architecture under a name of GGUF's <c>general.architecture</c>, a Hugging Face class, or both.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
internal sealed class ArchitectureAttribute(string? gguf = null) : Attribute
{
    /// <summary>Name in GGUF, or null.</summary>
    public string? Gguf => gguf;

    /// <summary>Entry of <c>architectures</c> in config.json, or null.</summary>
    public string? HuggingFace { get; init; }
}
