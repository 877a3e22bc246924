namespace Tare.Graphs;

/// <summary>How router logits become scores.</summary>
public enum RouterScore
{
    /// <summary>Softmax over all experts.</summary>
    Softmax,

    /// <summary>Sigmoid of each logit.</summary>
    Sigmoid,
}

/// <summary>Chooses experts: the UsedExperts best by score (+ correction bias), best first, ties to the lower id; the weights are the scores without the bias.</summary>
/// <param name="Experts">Number of experts.</param>
/// <param name="UsedExperts">Experts chosen a row.</param>
/// <param name="Score">How logits become scores.</param>
/// <param name="Normalize">Divide the chosen weights by their sum.</param>
/// <param name="NormalizeEpsilon">Added to that sum.</param>
/// <param name="Scale">Factor on the weights at the end.</param>
/// <param name="Groups">Group-limited routing: experts lie in this many equal groups; a group's score is the sum of its two best.</param>
/// <param name="UsedGroups">Only experts of the best UsedGroups groups can be chosen.</param>
public sealed record RouterSpec(int Experts, int UsedExperts, RouterScore Score, bool Normalize, double NormalizeEpsilon = 0, double Scale = 1, int Groups = 1, int UsedGroups = 1);
