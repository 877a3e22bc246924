using System.Collections.Immutable;
using Tare.Graphs.Ops;

namespace Tare.Graphs;

/// <summary>A named result of a graph.</summary>
public readonly record struct GraphOutput(string Name, Value Value);

/// <summary>
/// An immutable computation: nodes in topological order, named outputs. Passes return a new graph. <see cref="HiddenStates"/> are the values that Hugging Face
/// calls hidden states (what enters each block, and the last one after the final norm); they are candidates for outputs, not outputs themselves.
/// </summary>
public sealed class Graph
{
    internal Graph(ImmutableArray<Node> nodes, ImmutableArray<GraphOutput> outputs, ImmutableArray<Value> hiddenStates, int blocks)
    {
        Nodes = nodes;
        Outputs = outputs;
        HiddenStates = hiddenStates;
        Blocks = blocks;
    }

    /// <summary>The nodes; inputs of node i come from nodes before i.</summary>
    public ImmutableArray<Node> Nodes { get; }

    /// <summary>What a program of this graph returns.</summary>
    public ImmutableArray<GraphOutput> Outputs { get; }

    /// <summary>Entry of block 0 … entry of the last block, then the value after the final norm: [Rows, width] each. Empty for graphs that were cut.</summary>
    public ImmutableArray<Value> HiddenStates { get; }

    /// <summary>Number of transformer blocks.</summary>
    public int Blocks { get; }

    /// <summary>The type of a value.</summary>
    public ValueInfo TypeOf(Value value) => Nodes[value.Node].Outputs[value.Output];

    /// <summary>The op that produces a value; of a fused op, its part.</summary>
    public Op OpOf(Value value) => Nodes[value.Node].Op is FusedOp fused ? fused.OpOf(value.Output) : Nodes[value.Node].Op;

    /// <summary>The ops of all nodes, of fused ones their parts.</summary>
    public IEnumerable<Op> Ops => Nodes.SelectMany(n => n.Op is FusedOp fused ? fused.Parts.Select(p => p.Op) : [n.Op]);

    /// <summary>Finds an output by name.</summary>
    public Value? FindOutput(string name)
    {
        foreach (var output in Outputs)
            if (output.Name == name) return output.Value;
        return null;
    }

    /// <summary>The same computation with other outputs; nodes that no output needs are dropped. Hidden states that are no longer computed leave the list as a whole.</summary>
    public Graph WithOutputs(IEnumerable<GraphOutput> outputs) => DeadNodes.Remove(new Graph(Nodes, [.. outputs], HiddenStates, Blocks));
}
