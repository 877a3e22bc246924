using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Kernels.Norms;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;

namespace Tare.Tests.Backends.Cpu;

/// <summary>Residual addition and norm as one function.</summary>
public sealed class AddNormTests
{
    private const int Rows = 3;

    public static TheoryData<NormKind> Kinds() => [.. Enum.GetValues<NormKind>().Where(k => k is not (NormKind.DynamicTanh or NormKind.BoundedTanh or NormKind.DynamicGain))];

    [Theory, MemberData(nameof(Kinds))]
    public void It_gives_the_bits_of_one_after_the_other_wherever_its_results_lie(NormKind kind)
    {
        foreach (int width in new[] { 1, 15, 16, 48, 63, 64, 65, 130, 443, 2048 })
            foreach (int groups in new[] { 1, 4 })
                foreach (var spec in new[] { new NormSpec(kind, 1e-5, Groups: groups) { FullWidth = width + 1 }, new NormSpec(kind, 1e-5, Groups: groups, Center: kind == NormKind.Static) { FullWidth = width + 1, OutputScale = 0.7 } })
                {
                    if (groups > 1 && kind is NormKind.CompressedRmsNorm or NormKind.IsometricCompressedRmsNorm) continue;
                    Check(spec, groups * width);
                }
    }

    private static unsafe void Check(NormSpec spec, int width)
    {
        using var weights = new CpuWeights(threads: 1);
        var builder = new GraphBuilder();
        var residual = builder.Residual(width);
        using var context = new KernelContext(builder.Finish(new GraphOutput("x", residual)), weights, new ProgramLimits(1, 1, 1), 1);
        var type = context.TypeOf(residual);
        RowFunction add = CpuOps.Function(context, new Add(), [type, type]), norm = CpuOps.Function(context, new Norm(spec, RandomModel.Matrix(1, "gain", 1, width, 1), null), [type]);
        RowFunction both = AddNormFunction.Of(new Add(), 2, norm, [2]).ShouldNotBeNull();
        var random = new Random(width);
        // The second row is far from zero, the third is not finite.
        float[] a = [.. Enumerable.Range(0, Rows * width).Select(i => (i / width == 1 ? 100 : 0) + random.NextSingle() - 0.5f)], b = [.. Enumerable.Range(0, a.Length).Select(_ => random.NextSingle())], sum = new float[a.Length], y = new float[a.Length];
        a[^1] = float.PositiveInfinity;
        fixed (float* first = a, second = b, s = sum, t = y)
        {
            RowBlock* inputs = stackalloc RowBlock[] { new(first, width), new(second, width) };
            RowBlock result = new(s, width), normed = new(t, width);
            add.Run(null!, 0, Rows, inputs, &result, null);
            norm.Run(null!, 0, Rows, &result, &normed, null);
        }
        RowBlock* from = stackalloc RowBlock[2], to = stackalloc RowBlock[2];
        foreach (bool inPlace in new[] { false, true })
        {
            float[] x = [.. a], d = [.. b], newSum = inPlace ? x : new float[a.Length], newY = inPlace ? d : new float[a.Length];
            fixed (float* first = x, second = d, s = newSum, t = newY)
            {
                (from[0], from[1], to[0], to[1]) = (new(first, width), new(second, width), new(s, width), new(t, width));
                both.Run(null!, 0, Rows, from, to, null);
            }
            Bits(newSum).ShouldBe(Bits(sum), $"{spec}, {width}, in place {inPlace}");
            Bits(newY).ShouldBe(Bits(y), $"{spec}, {width}, in place {inPlace}");
        }
    }

    // Every NaN alike: which of two goes on is the processor's choice.
    private static int[] Bits(float[] values) => Array.ConvertAll(values, v => float.IsNaN(v) ? -1 : BitConverter.SingleToInt32Bits(v));
}
