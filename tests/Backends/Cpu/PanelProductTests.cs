using System.Runtime.InteropServices;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Caches;
using Tare.Backends.Cpu.Kernels;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Tests.Backends.Cpu;

/// <summary>The products of attention give the same bits from stored elements, which few queries read, as from widened ones, which many do; and for one row as for four.</summary>
public sealed unsafe class PanelProductTests
{
    private const int Page = KvLayout.PageTokens, MostWidth = 160;

    [Theory]
    [InlineData(KvType.F32)]
    [InlineData(KvType.F16)]
    [InlineData(KvType.Q8_0)]
    public void Stored_and_widened_pages_give_the_same_bits_for_any_number_of_rows(KvType type)
    {
        foreach (int width in new[] { 1, 16, 24, 32, 40, 64, 72, 80, 128, MostWidth })
        {
            var layout = new KvLayout([new KvGroup([0], 2, 2 * width, 2 * width, type, type, null)]);
            using var state = new CpuState(new StateLayout(layout, [2]));
            var random = new Random(width);
            var row = new float[2 * 2 * width];
            fixed (float* x = row)
                for (int t = 0; t < 2 * Page; t++)
                {
                    for (int i = 0; i < row.Length; i++) row[i] = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 3)));
                    CacheRows.Append(state, 0, 0, t / Page, t % Page, x, x + 2 * width);
                }
            foreach (int head in new[] { 0, 1 })
            {
                var (keys, values) = (new Panels(state, head, keys: true), new Panels(state, head, keys: false));
                foreach (int columns in new[] { Page, 2 * Page }) Check(keys, width, columns, (a, c, rows, stored) => PanelProduct.Keys(a, c, rows, keys.Get(0, stored), keys.Get(1, stored), width, columns, default));
                for (int column = 0; column < width; column += 2 * Page)
                    foreach (var (first, count) in new[] { (0, Page), (3, 20), (Page - 1, 1) })
                    {
                        int from = column, vectors = Math.Min(2 * Page, (width - column + 15) / 16 * 16);
                        Check(values, count, Math.Min(vectors, width - column), (a, c, rows, stored) => PanelProduct.Values(a, c, rows, values.Get(1, stored), first, from, count, vectors, default));
                    }
            }
        }
    }

    private delegate void Product(float** a, float** c, int rows, bool stored);

    // Four rows over widened panels are the measure; the others must give the first rows of it.
    private static void Check(Panels panels, int count, int columns, Product product)
    {
        float[] expected = Run(PanelProduct.Rows, stored: false);
        expected.ShouldContain(v => v != 0 && v != 1);
        foreach (bool stored in new[] { true, false })
            for (int rows = 1; rows <= PanelProduct.Rows; rows++) Run(rows, stored).ShouldBe(expected[..(rows * columns)], $"{panels}, {rows} rows, {columns} columns, stored {stored}");

        float[] Run(int rows, bool stored)
        {
            var random = new Random(7);
            float* x = stackalloc float[PanelProduct.Rows * (MostWidth + Page)], y = stackalloc float[PanelProduct.Rows * 2 * Page];
            float** a = stackalloc float*[PanelProduct.Rows], c = stackalloc float*[PanelProduct.Rows];
            for (int r = 0; r < rows; r++)
            {
                a[r] = x + r * count;
                c[r] = y + r * 2 * Page;
                for (int k = 0; k < count; k++) a[r][k] = random.NextSingle() - 0.5f;
                for (int j = 0; j < 2 * Page; j++) c[r][j] = j % 2;
            }
            product(a, c, rows, stored);
            var result = new float[rows * columns];
            for (int r = 0; r < rows; r++)
                for (int j = 0; j < columns; j++) result[r * columns + j] = y[r * 2 * Page + j];
            return result;
        }
    }

    // The keys or values of a head in two pages.
    private sealed class Panels(CpuState state, int head, bool keys)
    {
        private readonly float[][] _widened = [.. Enumerable.Range(0, 2).Select(_ => GC.AllocateArray<float>((int)CachePanels.ScratchElements(MostWidth), pinned: true))];

        public Panel Get(int page, bool stored)
        {
            var format = keys ? state.Format(0).Keys : state.Format(0).Values;
            byte* source = keys ? state.Keys(0, page, 0, head) : state.Values(0, page, 0, head);
            float* target = (float*)Marshal.UnsafeAddrOfPinnedArrayElement(_widened[page], 0);
            if (keys) return stored ? Panel.OfKeys(format, source) : Panel.Of(CachePanels.Keys(format, source, target), Page);
            return stored ? Panel.OfValues(format, source) : Panel.Of(CachePanels.Values(format, source, target), format.Width);
        }

        public override string ToString() => $"{(keys ? "keys" : "values")} {state.Format(0).Keys.Type} of width {state.Format(0).Keys.Width}";
    }
}
