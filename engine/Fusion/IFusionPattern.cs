using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Fusion;

/// <summary>Whether a backend can run an op.</summary>
public delegate bool OpSupport(Op op);

/// <summary>Makes a fused op: number of inputs, parts, results.</summary>
public delegate FusedOp FusedOpFactory(int inputCount, ImmutableArray<FusedPart> parts, ImmutableArray<int> results);

/// <summary>A pattern of nodes that one kernel can run. What it finds becomes a <see cref="FusedOp"/> where the backend supports that.</summary>
public interface IFusionPattern
{
    /// <summary>Its name in tables.</summary>
    string Name { get; }

    /// <summary>What it joins, and what that saves.</summary>
    string Description { get; }

    /// <summary>Makes the op that runs a group.</summary>
    FusedOpFactory Create { get; }

    /// <summary>Groups of nodes, each ascending, no node in two; no path may leave a group and come back.</summary>
    IEnumerable<ImmutableArray<int>> Find(Graph graph, OpSupport supports);
}
