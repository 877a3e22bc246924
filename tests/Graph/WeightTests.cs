using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Weights;
using Tare.Tests.Support;

namespace Tare.Tests.Graphs;

public sealed class WeightTests
{
    private static readonly ConstantWeight A = RandomModel.Matrix(1, "a", 6, 5), B = RandomModel.Matrix(1, "b", 3, 5);

    private static readonly RankOneMap Center6 = new(RankOneKind.Center, 6);

    [Fact]
    public void Expressions_equal_plain_arithmetic()
    {
        double[][] a = Rows(A), b = Rows(B);
        Rows(new SliceWeight(A, 2, 3)).ShouldBe(a[2..5]);
        Rows(new SliceWeight(A, 1, 3, 2)).ShouldBe([a[1], a[3], a[5]]);
        Rows(new ConcatWeight([A, B, A])).ShouldBe([.. a, .. b, .. a]);
        Rows(new TransposeWeight(A)).ShouldBe([.. Enumerable.Range(0, 5).Select(c => a.Select(r => r[c]).ToArray())]);
        Rows(new TransposeWeight(A, 2)).ShouldBe([.. Enumerable.Range(0, 2).SelectMany(h => Enumerable.Range(0, 5).Select(c => a[(3 * h)..(3 * h + 3)].Select(r => r[c]).ToArray()))]);
        Rows(new ReshapeWeight(A, 10, 3)).SelectMany(r => r).ShouldBe(a.SelectMany(r => r));
        double[] means = [.. Enumerable.Range(0, 5).Select(c => a.Average(r => r[c]))];
        Close(Rows(new MapOutputWeight(A, Center6)), [.. a.Select(r => r.Select((v, c) => v - means[c]).ToArray())]);
        var factors = RandomModel.Matrix(2, "f", 1, 5);
        double[] f = Rows(factors)[0];
        Close(Rows(new ScaleInputWeight(A, factors)), [.. a.Select(r => r.Select((v, c) => v * f[c]).ToArray())]);
    }

    [Fact]
    public void Any_range_of_rows_reads_the_same_in_both_precisions()
    {
        Weight[] weights = [A, new SliceWeight(A, 1, 4), new SliceWeight(A, 1, 3, 2), new ConcatWeight([A, B]), new TransposeWeight(A, 3), new ReshapeWeight(A, 15, 2), new MapOutputWeight(A, Center6), new ScaleInputWeight(B, RandomModel.Matrix(2, "f", 1, 5))];
        foreach (var weight in weights)
        {
            double[][] all = Rows(weight);
            for (int first = 0; first < weight.Rows; first++)
                for (int count = 0; count <= weight.Rows - first; count++)
                {
                    var narrow = new float[count * weight.Width];
                    weight.Read(first, count, narrow);
                    narrow.ShouldBe(all.Skip(first).Take(count).SelectMany(r => r).Select(v => (float)v), $"{weight} {first}+{count}");
                }
            Should.Throw<ArgumentException>(() => weight.Read(weight.Rows, 1, new float[weight.Width]));
            Should.Throw<ArgumentException>(() => weight.Read(-1, 1, new float[weight.Width]));
            Should.Throw<ArgumentException>(() => weight.Read(0, 1, new float[weight.Width - 1]));
        }
    }

    [Fact]
    public void Equality_is_structural_so_that_a_tied_weight_is_packed_once()
    {
        new SliceWeight(A, 1, 2).ShouldBe(new SliceWeight(A, 1, 2));
        new ConcatWeight([A, B]).ShouldBe(new ConcatWeight([A, B]));
        new ConcatWeight([A, B]).GetHashCode().ShouldBe(new ConcatWeight([A, B]).GetHashCode());
        var prepared = new TransposeWeight(A);
        prepared.Prepare();
        prepared.ShouldBe(new TransposeWeight(A));
        prepared.GetHashCode().ShouldBe(new TransposeWeight(A).GetHashCode());
        new TransposeWeight(A, 2).ShouldNotBe(prepared);
        new ConcatWeight([B, A]).ShouldNotBe(new ConcatWeight([A, B]));
        new MapOutputWeight(A, Center6).ShouldBe(new MapOutputWeight(A, Center6));
    }

    [Fact]
    public void Stored_rows_are_copied_as_they_are_read()
    {
        Weight[] weights = [A, new SliceWeight(A, 1, 4), new SliceWeight(A, 1, 3, 2), new ConcatWeight([A, B, A]), new ReshapeWeight(A, 6, 5), new ReorderedWeight(A, [3, 1, 4, 0, 5, 2]), new SliceWeight(new ReorderedWeight(new ConcatWeight([B, B]), [0, 2, 4, 1, 3, 5]), 2, 3)];
        foreach (var weight in weights)
        {
            byte[][] rows = [.. Enumerable.Range(0, (int)weight.Rows).Select(r => weight.TryGetStoredRow(r, out var bytes) ? bytes.ToArray() : throw new InvalidOperationException($"{weight}: {r}"))];
            for (int first = 0; first < rows.Length; first++)
                for (int count = 1; count <= rows.Length - first; count++)
                {
                    var copied = new byte[count * rows[0].Length];
                    weight.CopyStoredRows(first, count, copied);
                    copied.ShouldBe(rows[first..(first + count)].SelectMany(r => r), $"{weight} {first}+{count}");
                }
            Should.Throw<InvalidOperationException>(() => weight.CopyStoredRows(0, 1, new byte[3]));
        }
        Should.Throw<InvalidOperationException>(() => new TransposeWeight(A).CopyStoredRows(0, 1, new byte[24]));
        Should.Throw<InvalidOperationException>(() => new ReshapeWeight(A, 10, 3).CopyStoredRows(0, 1, new byte[12]));
    }

    [Fact]
    public void Stored_rows_survive_moves_and_types_follow_the_rules()
    {
        new ConcatWeight([A, B]).TryGetStoredRow(7, out var bytes).ShouldBeTrue();
        B.TryGetStoredRow(1, out var expected).ShouldBeTrue();
        bytes.ToArray().ShouldBe(expected.ToArray());
        new TransposeWeight(A).TryGetStoredRow(0, out _).ShouldBeFalse();
        new MapOutputWeight(A, Center6).Type.ShouldBe(TensorType.F32);
        Should.Throw<GraphException>(() => new ConcatWeight([A, RandomModel.Matrix(1, "c", 2, 4)]));
        Should.Throw<GraphException>(() => new ReshapeWeight(A, 4, 7));
        Should.Throw<GraphException>(() => new TransposeWeight(A, 4));
    }

    private static double[][] Rows(Weight weight)
    {
        weight.Prepare();
        return [.. Enumerable.Range(0, (int)weight.Rows).Select(r =>
        {
            var row = new double[weight.Width];
            weight.Read(r, 1, row);
            return row;
        })];
    }

    private static void Close(double[][] actual, double[][] expected)
    {
        for (int r = 0; r < expected.Length; r++)
            for (int c = 0; c < expected[r].Length; c++) actual[r][c].ShouldBe(expected[r][c], 1e-15);
    }
}
