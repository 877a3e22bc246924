using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Weights;

namespace Tare.Tests.Backends.Cpu;

/// <summary>Pieces of the memory of packed weights.</summary>
public sealed unsafe class WeightMemoryTests
{
    [Fact]
    public void Pieces_begin_at_lines_keep_what_is_written_and_never_overlap()
    {
        using var memory = new WeightMemory();
        var random = new Random(1);
        var pieces = new List<(nint Start, int Bytes)>();
        for (int i = 0; i < 40; i++)
        {
            int bytes = i == 20 ? 70 << 20 : random.Next(5 << 20); // one is larger than a slab
            byte* piece = memory.Take(bytes);
            ((nint)piece % 64).ShouldBe(0);
            if (bytes > 0) (piece[0], piece[bytes - 1]) = ((byte)i, (byte)i);
            pieces.Add(((nint)piece, bytes));
        }
        for (int i = 0; i < pieces.Count; i++)
            if (pieces[i].Bytes > 0) (((byte*)pieces[i].Start)[0], ((byte*)pieces[i].Start)[pieces[i].Bytes - 1]).ShouldBe(((byte)i, (byte)i));
        var inOrder = pieces.OrderBy(p => p.Start).ToArray();
        for (int i = 1; i < inOrder.Length; i++) (inOrder[i - 1].Start + inOrder[i - 1].Bytes).ShouldBeLessThanOrEqualTo(inOrder[i].Start);
    }

    [Fact]
    public void The_last_piece_can_be_given_back()
    {
        using var memory = new WeightMemory();
        byte* first = memory.Take(100), second = memory.Take(1 << 20);
        memory.GiveBack(second);
        (memory.Take(3) == second).ShouldBeTrue();
        Should.Throw<ArgumentException>(() => memory.GiveBack(first + (1 << 20)));
        Should.Throw<ArgumentOutOfRangeException>(() => memory.Take(-1));
    }
}
