using Tare.Graphs;
using Tare.Graphs.Serialization;

namespace Tare.Models;

/// <summary>A file that holds its graph: what a rewrite of any architecture is written as (tare-graph.graph in GGUF, tare_graph in config.json).</summary>
[Architecture("tare-graph", HuggingFace = "TareGraph")]
internal sealed class StoredGraph : IArchitecture
{
    public Graph Build(Config config, WeightSource weights) => GraphJson.Read(config.FindDocument("tare_graph", "graph") ?? throw config.Error("tare_graph", "is missing"), name => weights.Get(name, name));
}
