using System.Collections.Immutable;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;

namespace Tare.Tests.Backends;

/// <summary>The edit op on every backend: each kind against values worked out by hand, untouched rows bit by bit, several entries in one step.</summary>
public sealed class EditTests
{
    private static readonly ProgramLimits Limits = new(64, 8, 64);

    public static TheoryData<Type> Backends() => SeamTests.Backends();

    // x = (3, 4, 0, −12), ‖x‖ = 13.
    public static TheoryData<EditKind, double, double[], double[]> ByHand() => new()
    {
        { EditKind.Replace, 1, [], [0, 0, 0, 0] },
        { EditKind.Replace, 0.25, [], [2.25, 3, 0, -9] },
        { EditKind.Replace, 1, [1, 2, 3, 4], [1, 2, 3, 4] },
        { EditKind.Replace, 0.5, [1, 2, 3, 4], [2, 3, 1.5, -4] },
        { EditKind.Scale, -2, [], [-6, -8, 0, 24] },
        { EditKind.Add, 0.5, [2, 0, -4, 8], [4, 4, -2, -8] },
        { EditKind.AddMatched, 2, [0, 0.6, 0.8, 0], [3, 19.6, 20.8, -12] },                                   // 2 · 13 · v
        { EditKind.AddNormPreserving, 1, [0, 0, 84, 0], [3 * 13 / 85.0, 4 * 13 / 85.0, 84 * 13 / 85.0, -12 * 13 / 85.0] }, // 13² + 84² = 85²
        { EditKind.AddNormPreserving, 1, [-3, -4, 0, 12], [0, 0, 0, 0] },
        { EditKind.ProjectOut, 1, [0.6, 0.8, 0, 0], [0, 0, 0, -12] },
        { EditKind.ProjectOut, 0.5, [0.6, 0.8, 0, 0], [1.5, 2, 0, -12] },
        { EditKind.Clamp, 1, [0, 0, 0, 1], [3, 4, 0, -2] },                                                   // −12 → −2
        { EditKind.Clamp, 1, [0.6, 0.8, 0, 0], [1.2, 1.6, 0, -12] },                                          // 5 → 2
        { EditKind.Clamp, 1, [0, 0, 1, 0], [3, 4, 0, -12] },
    };

    [Theory, MemberData(nameof(ByHand))]
    public void Every_kind_gives_what_its_formula_says(EditKind kind, double strength, double[] vector, double[] expected)
    {
        // The same columns at the start of a row, apart in two ranges, and at the end of a row that no vector divides.
        foreach (var (width, columns) in new (int, ColumnRange[])[] { (4, [new(0, 4)]), (9, [new(1, 2), new(6, 2)]), (37, [new(33, 4)]) })
        {
            int[] at = [.. columns.SelectMany(c => Enumerable.Range(c.First, c.Count))];
            double[] row = [.. Enumerable.Range(0, width).Select(i => i * 0.25 - 1)], after = [.. row];
            for (int i = 0; i < 4; i++) (row[at[i]], after[at[i]]) = (new[] { 3.0, 4, 0, -12 }[i], expected[i]);
            var entry = Entry(new EditOperation(0, kind, [.. columns]) { Strength = strength, Vector = [.. vector], Minimum = -2, Maximum = 2 });
            foreach (Type type in SeamTests.Backends())
            {
                double[] changed = Run(type, width, row, [entry], [1], [0]);
                for (int i = 0; i < width; i++) changed[i].ShouldBe(after[i], Math.Abs(after[i]) * 1e-6 + 1e-6, $"{type.Name} {kind} {width} [{i}]");
            }
        }
    }

    [Theory, MemberData(nameof(Backends))]
    public void A_patch_changes_the_positions_that_it_has_and_no_other(Type type)
    {
        var entry = Entry(new EditOperation(0, EditKind.Replace, [new(1, 2)]) { Vector = [7, 8, 9, 10], Positions = [4, 6] });
        Run(type, 3, [1, 2, 3, 1, 2, 3, 1, 2, 3], [entry], [1, 1, 1], [4, 5, 6]).ShouldBe([1, 7, 8, 1, 2, 3, 1, 9, 10]);
    }

    [Theory, MemberData(nameof(Backends))]
    public void Slot_zero_rows_outside_the_selection_and_strength_zero_keep_every_bit(Type type)
    {
        float[] row = [float.NaN, -0f, 1e-42f, float.PositiveInfinity, 3e38f, -1];
        double[] vector = [1, 1, 1, 1, 1, 1];
        foreach (var kind in Enum.GetValues<EditKind>())
        {
            var on = new EditOperation(0, kind, [new(0, 6)]) { Strength = 2, Vector = [.. vector], Minimum = 0, Maximum = 0 };
            var off = on with { Strength = kind == EditKind.Scale ? 1 : 0 };
            Bits(Entry(on), 0, 1).ShouldBe(Bits(null, 0, 0), $"{kind}, slot 0");
            Bits(Entry(on), 1, 0).ShouldBe(Bits(null, 0, 0), $"{kind}, not selected");
            Bits(Entry(off), 1, 1).ShouldBe(Bits(null, 0, 0), $"{kind}, strength 0");
            Bits(Entry(off with { Strength = kind == EditKind.Scale ? 1 : 1e-60 }), 1, 1).ShouldBe(Bits(null, 0, 0), $"{kind}, strength that is 0 in F32");
        }

        long[] Bits(EditEntry? entry, int slot, ulong rows)
        {
            var graph = Graph(6);
            using var backend = Create(type);
            using var store = backend.CreateWeightStore();
            using var program = backend.Compile(graph, store, Limits);
            using var state = backend.CreateState(StateLayout.ForEdits(new EditTableLayout([6], 2)));
            if (entry is not null) state.Edits!.Write(1, entry);
            var ticket = program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, 1, 0, Phase.Prompt, 1)], Residual = row, Slots = [new RowSlots(0, slot, rows)] }, [state]);
            return Array.ConvertAll(program.Output<float>(ticket, new OutputId(0)).ToArray(), v => (long)BitConverter.SingleToInt32Bits(v));
        }
    }

    [Theory, MemberData(nameof(Backends))]
    public void Entries_share_a_step_and_each_row_gets_what_it_gets_alone(Type type)
    {
        var random = new Random(4);
        const int Width = 45, Rows = 24;
        double[] x = [.. Enumerable.Range(0, Width * Rows).Select(_ => (double)(float)(random.NextDouble() - 0.5))];
        EditEntry[] entries = [.. Enum.GetValues<EditKind>().Select(kind => Entry(new EditOperation(0, kind, [new(3, 20), new(30, 9)])
        {
            Strength = 0.7,
            Vector = [.. Enumerable.Range(0, 29).Select(_ => random.NextDouble() - 0.5)],
            Minimum = -0.01,
            Maximum = 0.01,
        }))];
        int[] slots = [.. Enumerable.Range(0, Rows).Select(r => r % (entries.Length + 1))];
        double[] together = Run(type, Width, x, entries, slots, [.. Enumerable.Range(0, Rows)]);
        for (int r = 0; r < Rows; r++)
        {
            double[] alone = Run(type, Width, x[(r * Width)..((r + 1) * Width)], entries, [slots[r]], [r]);
            together[(r * Width)..((r + 1) * Width)].ShouldBe(alone, $"row {r}, slot {slots[r]}");
            if (slots[r] == 0) alone.ShouldBe(x[(r * Width)..((r + 1) * Width)]);
            else alone.ShouldNotBe(x[(r * Width)..((r + 1) * Width)]);
        }
    }

    [Fact]
    public void Both_backends_agree_on_random_rows()
    {
        var random = new Random(9);
        foreach (var kind in Enum.GetValues<EditKind>())
            foreach (int width in new[] { 1, 7, 31, 33, 64, 443 })
            {
                double[] x = [.. Enumerable.Range(0, width * 5).Select(_ => (double)(float)(random.NextDouble() - 0.5))], v = [.. Enumerable.Range(0, width).Select(_ => random.NextDouble() - 0.5)];
                var entry = Entry(new EditOperation(0, kind, [new(0, width)]) { Strength = 1.3, Vector = [.. v], Direction = kind is EditKind.Clamp or EditKind.ProjectOut ? [.. v.Reverse()] : [], Minimum = -0.1, Maximum = 0.2 });
                double[][] results = [.. SeamTests.Backends().Select((Type b) => Run(b, width, x, [entry], [1, 1, 1, 1, 1], [0, 1, 2, 3, 4]))];
                Nmse.WorstRow(Array.ConvertAll(results[0], d => (float)d), Array.ConvertAll(results[1], d => (float)d), width).ShouldBeLessThan(1e-11, $"{kind} {width}");
            }
    }

    [Theory, MemberData(nameof(Backends))]
    public void Slots_that_can_not_work_are_refused_by_name(Type type)
    {
        using var backend = Create(type);
        using var store = backend.CreateWeightStore();
        using IProgram edited = backend.Compile(Graph(4), store, Limits), plain = backend.Compile(Graph(4, edited: false), store, Limits);
        using IState table = backend.CreateState(StateLayout.ForEdits(new EditTableLayout([4, 4], 3))), narrow = backend.CreateState(StateLayout.ForEdits(new EditTableLayout([3], 3)));
        var entry = Entry(new EditOperation(0, EditKind.Scale, [new(0, 4)]) { Strength = 2 });
        table.Edits!.Write(1, entry);
        table.Edits.Write(2, Entry(new EditOperation(1, EditKind.Scale, [new(0, 4)]) { Strength = 2 }));
        Refusal(plain, 1, table).ShouldContain("no edits");
        Refusal(edited, 1).ShouldContain("no state");
        Refusal(edited, 3, table).ShouldContain("slot 3");
        Refusal(edited, -1, table).ShouldContain("slot -1");
        Refusal(edited, 2, table).ShouldContain("site 1");
        Refusal(edited, 1, narrow).ShouldContain("4 elements");
        table.Edits.Write(1, null);
        Refusal(edited, 1, table).ShouldContain("not written");
        Should.Throw<ArgumentException>(() => table.Edits.Write(0, entry)).Message.ShouldContain("slot 0");
        Should.Throw<ArgumentException>(() => table.Edits.Write(1, Entry(new EditOperation(5, EditKind.Scale, [new(0, 4)]) { Strength = 2 }))).Message.ShouldContain("site 5");
        foreach (var bad in new[]
        {
            new EditOperation(0, EditKind.Add, [new(0, 5)]) { Vector = [1, 1, 1, 1, 1] }, new EditOperation(0, EditKind.Add, [new(0, 4)]) { Vector = [1] }, new EditOperation(0, EditKind.Add, [new(2, 1), new(1, 1)]) { Vector = [1, 1] },
            new EditOperation(0, EditKind.Add, [new(0, 4)]), new EditOperation(0, EditKind.Add, []), new EditOperation(0, EditKind.Add, [new(0, 1)]) { Vector = [double.NaN] }, new EditOperation(0, EditKind.Scale, [new(0, 1)]) { Selection = 1, Strength = 2 },
            new EditOperation(0, EditKind.Replace, [new(0, 1)]) { Vector = [1, 2], Positions = [2, 1] }, new EditOperation(0, EditKind.Clamp, [new(0, 1)]) { Vector = [1], Minimum = 2, Maximum = 1 },
        })
            Should.Throw<ArgumentException>(() => table.Edits.Write(1, Entry(bad)));

        string Refusal(IProgram program, int slot, params IState[] states)
            => Should.Throw<ArgumentException>(() => program.Enqueue(new Step { Sequences = [new SequenceRows(0, 0, 1, 0, Phase.Prompt, 1)], Residual = new float[4], Slots = [new RowSlots(0, slot, 1)] }, states)).Message;
    }

    [Fact]
    public void Selections_say_which_rows_are_meant()
    {
        var last = new RowSelection { Positions = [new(-2, -1)] };
        Enumerable.Range(0, 8).Where(p => last.Contains(p, 0, false, 5)).ShouldBe([3, 4]);
        var open = new RowSelection { Positions = [new(0, 0), new(4, int.MaxValue)], Generated = false, Tokens = [7, 9] };
        Enumerable.Range(0, 8).Where(p => open.Contains(p, 7, false, 5)).ShouldBe([0, 4, 5, 6, 7]);
        open.Contains(4, 8, false, 5).ShouldBeFalse();
        open.Contains(4, 9, true, 5).ShouldBeFalse();
        var entry = new EditEntry([new EditOperation(0, EditKind.Scale, [new(0, 1)]) { Strength = 2 }, new EditOperation(0, EditKind.Scale, [new(0, 1)]) { Strength = 3, Selection = 1 }, new EditOperation(0, EditKind.Scale, [new(0, 1)]) { Strength = 1, Selection = 2 }], [last, open, RowSelection.All]);
        entry.Rows(4, 7, Phase.Prompt, 5).ShouldBe(3UL);
        entry.Rows(3, 7, Phase.Draft, 5).ShouldBe(1UL);
        entry.Rows(1, 7, Phase.Prompt, 5).ShouldBe(0UL); // the third operation can change nothing
        Should.Throw<ArgumentException>(() => new EditEntry([], Enumerable.Repeat(last, 65))).Message.ShouldContain("64");
    }

    [Fact]
    public void Keys_differ_with_whatever_an_entry_does()
    {
        var one = new EditOperation(0, EditKind.Add, [new(0, 2)]) { Vector = [1, 2] };
        EditEntry[] entries =
        [
            Entry(one), Entry(one with { Site = 1 }), Entry(one with { Kind = EditKind.AddMatched }), Entry(one with { Strength = 0.5 }), Entry(one with { Vector = [1, 3] }), Entry(one with { Columns = [new(1, 2)] }), Entry(one, one),
            new EditEntry([one], [new RowSelection { Generated = true }]), new EditEntry([one], [new RowSelection { Tokens = [1] }]), new EditEntry([one], [new RowSelection { Positions = [new(1, 1)] }]), Entry(one with { Direction = [1, 2] }),
        ];
        entries.Select(e => e.Key).Distinct().Count().ShouldBe(entries.Length);
        Entry(one).Key.ShouldBe(entries[0].Key);
    }

    private static EditEntry Entry(params EditOperation[] operations) => new(operations, [RowSelection.All]);

    private static Graph Graph(int width, bool edited = true)
    {
        var g = new GraphBuilder();
        var x = g.Residual(width);
        return g.Finish(new GraphOutput("y", edited ? g.Append(new Edit(0, "x"), x) : g.Scale(x, 2)));
    }

    private static IBackend Create(Type type) => (IBackend)Activator.CreateInstance(type, nonPublic: true)!;

    // A sequence a row, at the given positions; slot s means entries[s − 1].
    private static double[] Run(Type type, int width, double[] x, EditEntry[] entries, int[] slots, int[] positions)
    {
        using var backend = Create(type);
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(Graph(width), store, new ProgramLimits(slots.Length, slots.Length, slots.Length));
        using var state = backend.CreateState(StateLayout.ForEdits(new EditTableLayout([width], entries.Length + 1)));
        for (int i = 0; i < entries.Length; i++) state.Edits!.Write(i + 1, entries[i]);
        var ticket = program.Enqueue(new Step
        {
            Sequences = [.. slots.Select((_, r) => new SequenceRows(r, r, 1, positions[r], Phase.Prompt, positions[r] + 1))],
            Residual = Array.ConvertAll(x, v => (float)v),
            Slots = [.. slots.Select(s => new RowSlots(0, s, 1))],
        }, [state]);
        return backend is Tare.Backends.Reference.ReferenceBackend ? program.Output<double>(ticket, new OutputId(0)).ToArray() : Array.ConvertAll(program.Output<float>(ticket, new OutputId(0)).ToArray(), v => (double)v);
    }
}
