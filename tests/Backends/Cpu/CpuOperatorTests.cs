using System.Runtime.Intrinsics;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Numerics;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Backends.Cpu;

/// <summary>Every op on the CPU against Reference, over widths that break tiles, with guard bytes behind every buffer and the same bits for any number of threads.</summary>
public sealed class CpuOperatorTests
{
    private const double Limit = 1e-7;
    private static readonly int[] Widths = [1, 7, 15, 16, 17, 31, 33, 48, 443];
    private static readonly int[] RowCounts = [1, 3, 4, 9, 33];

    [Fact]
    public void Every_op_of_the_graph_has_a_kernel() => CpuOps.Names.ShouldBe(ReferenceOps.Names);

    [Fact]
    public void Norms_of_every_kind()
    {
        foreach (int width in Widths)
            foreach (var spec in new[] { NormSpec.LayerNorm(1e-5), NormSpec.RmsNorm(1e-6), NormSpec.RmsNorm(1e-6, gainOffset: 1), NormSpec.LayerNorm(1e12), NormSpec.RmsNorm(1e10) })
                foreach (bool weights in new[] { false, true })
                    Check(width, 5, (g, x) => g.Norm(x, spec, weights ? new(W("gain", 1, width), W("bias", 1, width)) : default), $"{spec} {width}");
        foreach (int group in new[] { 1, 6, 16, 19 })
        {
            Check(4 * group, 7, (g, x) => g.Norm(x, NormSpec.RmsNorm(1e-6, groups: 4), new(W("gain", 1, group))), $"groups of {group}");
            Check(4 * group, 7, (g, x) => g.Norm(x, NormSpec.LayerNorm(1e-6, groups: 4), new(W("gain", 1, 4 * group), W("bias", 1, 4 * group))), $"groups of {group}, own gains");
        }
        foreach (int width in Widths) Check(width, 3, (g, x) => g.Append(new Center(), x), $"center {width}", absolute: width == 1);
    }

    [Fact]
    public void Norms_with_more_weights_than_a_gain()
    {
        foreach (int width in Widths)
        {
            Norm Of(NormKind kind, double bound = 0) => new(new NormSpec(kind, 1e-6) { Bound = bound, OutputScale = 0.7 }, W("gain", 1, width), kind == NormKind.DynamicGain ? null : W("bias", 1, width)) { Alpha = W("alpha", 1, kind == NormKind.DynamicGain ? width : 1) };
            Check(width, 5, (g, x) => g.Append(Of(NormKind.DynamicTanh), x), $"tanh {width}");
            Check(width, 5, (g, x) => g.Append(Of(NormKind.BoundedTanh, 10), x), $"bounded tanh {width}");
            Check(width, 5, (g, x) => g.Append(Of(NormKind.BoundedTanh, 10) with { ExtraVariance = W("extra", 1, 1) }, g.Scale(x, 3), x), $"bounded tanh by other rows {width}");
            Check(width, 5, (g, x) => g.Append(Of(NormKind.DynamicGain) with { Direction = W("direction", 1, width) }, x), $"dynamic gain {width}");
            Check(width, 5, (g, x) => g.Norm(x, new NormSpec(NormKind.UnitLength, 1e-6), new(W("gain", 1, width))), $"unit length {width}");
            Check(width, 5, (g, x) => g.Norm(x, new NormSpec(NormKind.CompressedRmsNorm, 1e-5) { FullWidth = width + 1 }), $"compressed {width}");
            Check(width, 5, (g, x) => g.Norm(x, new NormSpec(NormKind.IsometricCompressedRmsNorm, 1e-5) { FullWidth = width + 1 }), $"isometric {width}");
            Check(width, 5, (g, x) => g.AppendAll(new DepthAttention(W("query", 1, width), W("gain", 1, width), 1e-6), x, g.Scale(x, -2), g.Scale(x, 0.3))[0], $"depth attention {width}");
            Check(2 * width, 5, (g, x) => g.Append(new RotatePairs(W("angles", 1, width)), x), $"rotation {width}");
        }
    }

    [Fact]
    public void Layer_norm_keeps_its_variance_far_from_zero()
    {
        foreach (int width in new[] { 17, 64, 443, 2048 })
            foreach (float mean in new[] { 0, 0.1f, -0.32f, 0.33f, 0.34f, 0.5f, -1, 10, 100 }) // mean² is a quarter of E[x²] at 1/3
                foreach (float scale in new[] { 1, 1e-3f, 1e15f }) Check(width, 5, (g, x) => g.Norm(x, NormSpec.LayerNorm(1e-9)), $"mean {mean}, scale {scale}, {width}", transform: (v, _) => scale * (v + mean));
        Check(443, 5, (g, x) => g.Norm(x, NormSpec.LayerNorm(1e-5)), "mean 1000 σ", transform: (v, _) => v + 1000);
        Check(443, 5, (g, x) => g.Norm(x, NormSpec.LayerNorm(1e-5)), "squares of no finite sum", transform: (v, _) => 1e19f + 1e17f * v);
    }

    [Fact]
    public void Linear_of_any_shape()
    {
        foreach (int width in Widths)
            foreach (int outputs in Widths)
                foreach (int rows in RowCounts)
                    Check(width, rows, (g, x) => g.Linear(x, W("w", outputs, width), W("b", 1, outputs)), $"{width} → {outputs}, {rows} rows");
        Check(3000, 9, (g, x) => g.Linear(x, W("w", 37, 3000)), "several panels");
    }

    [ConformanceFact("quantisation")]
    public void Linear_with_every_stored_type()
    {
        int checkedTypes = 0;
        foreach (string file in Directory.GetFiles(SharedData.Conformance("quantisation")!, "*.gguf").Concat(Directory.GetFiles(SharedData.Conformance("quantisation")!, "*.safetensors")))
        {
            using var model = ModelFile.Open(file);
            foreach (var tensor in model.Tensors.Where(t => t.CanDecode && t.Shape.Length == 2 && t.Width % 32 == 0 && t.RowCount > 1))
            {
                if (!new MappedWeight(tensor).ToVector().All(float.IsFinite)) continue;
                Check(tensor.Width, 5, (g, x) => g.Linear(x, new MappedWeight(tensor)), $"{tensor.Name} {tensor.Type}");
                checkedTypes++;
            }
        }
        checkedTypes.ShouldBeGreaterThan(20);
    }

    [ConformanceFact("quantisation")]
    public void Linear_with_integer_activations_for_every_type_that_takes_them()
    {
        var types = new HashSet<TensorType>();
        foreach (string file in Directory.GetFiles(SharedData.Conformance("quantisation")!, "*.gguf"))
        {
            using var model = ModelFile.Open(file);
            foreach (var tensor in model.Tensors.Where(t => t.CanDecode && t.Shape.Length == 2 && t.RowCount > 1 && IntegerActivations.Applies(new MappedWeight(t))))
            {
                if (!new MappedWeight(tensor).ToVector().All(float.IsFinite)) continue;
                foreach (int bits in tensor.Type is TensorType.Q4_0 or TensorType.Q4_1 or TensorType.Q4_K ? new[] { 8, 16 } : [16])
                    foreach (int rows in new[] { 1, 5, 8 })
                        Check(tensor.Width, rows, (g, x) => g.Linear(g.Append(new QuantizeRows(bits), x), new MappedWeight(tensor), W("b", 1, (int)tensor.RowCount)), $"{tensor.Name} {tensor.Type}, {bits} bits, {rows} rows");
                types.Add(tensor.Type);
            }
        }
        types.Count.ShouldBeGreaterThanOrEqualTo(9, string.Join(", ", types));
    }

    [Fact]
    public void Half_precision_weights_of_odd_widths()
    {
        string folder = Directory.CreateTempSubdirectory("tare-half-").FullName;
        try
        {
            foreach (var type in new[] { TensorType.F16, TensorType.BF16 })
                foreach (int width in new[] { 1, 31, 443, 700 })
                {
                    string path = Path.Combine(folder, $"{type}{width}.safetensors");
                    var random = new Random(width);
                    // All magnitudes, denormals among them; the first rows' exponents are small. Seven full tiles and a part of one: four, two and one go together where rows are few.
                    byte[] bytes = [.. Enumerable.Range(0, 117 * width).SelectMany(i => BitConverter.GetBytes(type == TensorType.F16
                        ? BitConverter.HalfToUInt16Bits((Half)((random.NextDouble() - 0.5) * Math.Pow(2, i % 30 - 24)))
                        : (ushort)(BitConverter.SingleToUInt32Bits((float)(random.NextDouble() - 0.5)) >> 16)))];
                    SafetensorsWriter.Write(path, [new TensorToWrite("w", type, [117, width], stream => stream.Write(bytes))]);
                    using var model = ModelFile.Open(path);
                    Check(width, 9, (g, x) => g.Linear(x, new MappedWeight(model.Tensors.Single())), $"{type} {width}");
                    var g = new GraphBuilder();
                    var graph = g.Finish(new GraphOutput("y", g.Linear(g.Residual(width), new MappedWeight(model.Tensors.Single()))));
                    float[] rows = [.. Enumerable.Range(0, 9 * width).Select(_ => random.NextSingle() - 0.5f)];
                    using var backend = new CpuBackend(1);
                    float[] expected = Run<float>(backend, graph, rows, 9);
                    for (int count = 1; count <= 3; count++) Run<float>(backend, graph, rows[..(count * width)], count).ShouldBe(expected[..(count * 117)], $"{type} {width}, {count} rows");
                }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Fact]
    public void Group_linear_and_experts()
    {
        foreach (int inner in new[] { 1, 7, 16, 33 })
            foreach (int outputs in new[] { 1, 5, 16, 40 })
            {
                Check(3 * inner, 5, (g, x) => g.Append(new GroupLinear(W("w", 3 * outputs, inner), 3), x), $"3 × {inner} → {outputs}");
                foreach (bool bias in new[] { false, true })
                    Check(inner, 9, (g, x) =>
                    {
                        var chosen = g.AppendAll(new Router(new RouterSpec(6, 3, RouterScore.Softmax, bias)), g.Linear(x, W("router", 6, inner, 3)));
                        Value up = g.Append(new ExpertLinear(W("up", 6 * outputs, inner), bias ? W("upb", 6, outputs) : null, 6), x, chosen[0]);
                        Value down = g.Append(new ExpertLinear(W("down", 6 * inner, outputs), null, 6), up, chosen[0]);
                        return g.Append(new CombineExperts(), down, chosen[1]);
                    }, $"experts {inner} → {outputs}");
            }
        Check(24, 17, (g, x) => g.AppendAll(new Router(new RouterSpec(24, 4, RouterScore.Sigmoid, true, 1e-20, 2.5, 4, 2), W("correction", 1, 24)), x)[1], "grouped routing");
    }

    [Fact]
    public void Pointwise_ops()
    {
        foreach (int width in Widths)
        {
            foreach (var kind in Enum.GetValues<ActivationKind>())
            {
                Check(width, 5, (g, x) => g.Activate(x, kind), $"{kind} {width}", transform: (v, _) => 4 * v);
                Check(2 * width, 5, (g, x) => { var p = g.Split(x, width, width); return g.GatedActivate(p[0], p[1], kind); }, $"gated {kind} {width}");
            }
            Check(2 * width, 5, (g, x) => { var p = g.Split(x, width, width); return g.Append(new ClampedGlu(1.702, 2), p[0], p[1]); }, $"clamped {width}", transform: (v, _) => 4 * v);
            Check(2 * width, 5, (g, x) => { var p = g.Split(x, width, width); return g.Add(p[0], g.Multiply(p[0], p[1])); }, $"add, multiply {width}");
            Check(width + 1, 5, (g, x) => { var p = g.Split(x, width, 1); return g.Multiply(p[0], p[1]); }, $"scale rows {width}");
            Check(width, 5, (g, x) => g.SoftCap(g.Scale(x, 3.25), 2.5), $"soft cap {width}");
            Check(6 * width, 5, (g, x) => { var p = g.AppendAll(new SplitGroups(2, [width, 2 * width]), x); return g.Append(new JoinGroups(2), p[1], p[0]); }, $"groups {width}");
            Check(width, 9, (g, x) => g.Append(new SelectRows(), x), $"select {width}");
            foreach (var kind in Enum.GetValues<PoolKind>()) Check(width, 9, (g, x) => g.Append(new Pool(kind), x), $"pool {kind} {width}");
        }
    }

    [Fact]
    public void Activations_are_right_from_tail_to_tail()
    {
        foreach (var kind in Enum.GetValues<ActivationKind>())
            Check(400, 1, (g, x) => g.Activate(x, kind), $"{kind}", transform: (_, i) => (i - 200) / 10f);
    }

    [Fact]
    public void Tanh_is_right_to_some_units_of_its_last_place()
    {
        for (float x = 1e-38f; x < 1e38f; x *= 1.0007f)
        {
            float value = Functions.Tanh(Vector512.Create(x))[0];
            Math.Abs(value / Math.Tanh(x) - 1).ShouldBeLessThan(4.5e-7, $"{x}");
            value.ShouldBeLessThanOrEqualTo(1);
            Functions.Tanh(Vector512.Create(-x))[15].ShouldBe(-value);
        }
        foreach (var (x, expected) in new[] { (0f, 0f), (float.PositiveInfinity, 1f), (float.NegativeInfinity, -1f), (float.NaN, float.NaN), (20f, 1f) }) Functions.Tanh(Vector512.Create(x))[3].ShouldBe(expected);
    }

    [Fact]
    public void Rope_of_every_layout()
    {
        foreach (var pairing in Enum.GetValues<RopePairing>())
            foreach (int pairs in new[] { 1, 3, 8, 16, 21 })
                foreach (int rest in new[] { 0, 5 })
                    Check(3 * (2 * pairs + rest), 9, (g, x) => g.Rope(x, new RopeSpec(3, 2 * pairs + rest, rest / 2, pairing, [.. Enumerable.Range(0, pairs).Select(i => Math.Pow(1000, -i / (double)pairs))], 1.1)), $"{pairing} {pairs} + {rest}");
        Check(16, 9, (g, x) => g.Rope(x, new RopeSpec(2, 8, 0, RopePairing.Halves, [1, 0.1, 0.01, 0.001], Dynamic: new DynamicRope(10000, 2, 4))), "dynamic");
    }

    [Fact]
    public void Attention_of_every_kind()
    {
        foreach (int rows in new[] { 1, 33, 70 })
            foreach (var (heads, kvHeads, keyWidth, valueWidth) in new[] { (1, 1, 1, 1), (4, 2, 6, 6), (3, 1, 16, 8), (2, 2, 33, 47), (40, 1, 5, 5) })
                foreach (int variant in Enumerable.Range(0, 6))
                {
                    if (variant == 5 && valueWidth > keyWidth) continue;
                    var spec = new AttentionSpec(heads, kvHeads, keyWidth, valueWidth, 0.7, variant == 1 ? AttentionMask.Bidirectional : AttentionMask.Causal, variant == 2 ? 5 : null, variant == 3 ? 1.5 : null)
                    {
                        AlibiSlopes = variant == 4 ? AttentionSpec.Slopes(heads) : [],
                        Sinks = variant == 3 ? W("sinks", 1, heads, 2) : null,
                    };
                    int width = keyWidth;
                    Check(11, rows, (g, x) =>
                    {
                        using var block = g.Block(x);
                        Value q = g.Linear(x, W("q", heads * keyWidth, 11, 3)), k = g.Linear(x, W("k", kvHeads * keyWidth, 11, 3)), v = g.Linear(x, W("v", kvHeads * valueWidth, 11));
                        return variant == 5 ? g.LatentAttention(q, k, spec) : g.Attention(q, k, v, spec);
                    }, $"{heads}/{kvHeads} heads of {keyWidth}/{valueWidth}, {rows} rows, variant {variant}");
                }
    }

    [Theory, MemberData(nameof(KvTypeTests.Types), MemberType = typeof(KvTypeTests))]
    public void Attention_over_caches_of_every_type(KvType keys, KvType values)
    {
        foreach (int rows in new[] { 1, 33, 70 })
            foreach (var (heads, kvHeads, keyWidth, valueWidth) in new[] { (1, 1, 1, 1), (4, 2, 6, 6), (3, 1, 16, 8), (2, 2, 33, 47), (40, 1, 5, 5), (6, 2, 80, 80), (9, 3, 64, 64) })
                foreach (bool latent in new[] { false, true })
                {
                    if (latent && valueWidth > keyWidth) continue;
                    Check(11, rows, (g, x) =>
                    {
                        using var block = g.Block(x);
                        var spec = new AttentionSpec(heads, kvHeads, keyWidth, valueWidth, 0.7, Window: 50);
                        Value q = g.Linear(x, W("q", heads * keyWidth, 11, 3)), k = g.Linear(x, W("k", kvHeads * keyWidth, 11, 3)), v = g.Linear(x, W("v", kvHeads * valueWidth, 11));
                        return latent ? g.LatentAttention(q, k, spec) : g.Attention(q, k, v, spec);
                    }, $"{heads}/{kvHeads} heads of {keyWidth}/{valueWidth}, {rows} rows, latent {latent}", rewrite: g => CacheTypes.Apply(g, keys, values), limit: keys == KvType.Q8_0 || values == KvType.Q8_0 ? 1e-6 : Limit);
                }
    }

    private static ConstantWeight W(string name, int rows, int width, double scale = 1) => RandomModel.Matrix(7, $"{name} {rows} {width}", rows, width, scale);

    private static void Check(int width, int rows, Func<GraphBuilder, Value, Value> op, string what, Func<float, int, float>? transform = null, bool absolute = false, Func<Graph, Graph>? rewrite = null, double limit = Limit)
    {
        var g = new GraphBuilder();
        var graph = g.Finish(new GraphOutput("y", op(g, g.Residual(width))));
        graph = rewrite?.Invoke(graph) ?? graph;
        var random = new Random(rows * 1000 + width);
        float[] x = [.. Enumerable.Range(0, rows * width).Select(i => (float)(random.NextDouble() * 2 - 1)).Select((v, i) => transform?.Invoke(v, i) ?? v)];
        using var reference = new ReferenceBackend(1);
        float[] expected = Array.ConvertAll(Run<double>(reference, graph, x, rows), v => (float)v);
        float[]? first = null;
        for (int threads = 1; threads <= 3; threads++)
        {
            using var backend = new CpuBackend(threads);
            float[] actual = Run<float>(backend, graph, x, rows);
            int outputWidth = graph.TypeOf(graph.Outputs[0].Value).Width;
            if (absolute) actual.Zip(expected, (a, b) => Math.Abs(a - b)).Max().ShouldBeLessThan(1e-6f, what);
            else Nmse.WorstRow(actual, expected, outputWidth).ShouldBeLessThan(limit, what);
            first ??= actual;
            actual.ShouldBe(first, $"{what}, {threads} threads");
        }
    }

    // Two sequences where there are rows enough; the limits are exactly the rows, so guards begin right behind them.
    private static T[] Run<T>(IBackend backend, Graph graph, float[] x, int rows) where T : unmanaged
    {
        using var store = backend.CreateWeightStore();
        int cut = rows > 2 ? rows / 3 : rows;
        SequenceRows[] sequences = cut == rows ? [new(0, 0, rows, 0, Phase.Prompt, rows)] : [new(0, 0, cut, 0, Phase.Prompt, cut), new(1, cut, rows - cut, 0, Phase.Prompt, rows - cut)];
        int[] outputs = [.. Enumerable.Range(0, rows).Where(r => r % 2 == 0)];
        using var program = backend.Compile(graph, store, new ProgramLimits(rows, sequences.Length, outputs.Length));
        var kv = program.Signature.Kv;
        var pages = new List<int>();
        var starts = new List<int> { 0 };
        foreach (var sequence in sequences)
        {
            if (kv.Groups.IsEmpty) break;
            for (int p = 0; p < (sequence.Rows + 31) / 32; p++) pages.Add(pages.Count);
            starts.Add(pages.Count);
        }
        using var state = backend.CreateState(new StateLayout(kv, [.. kv.Groups.Select(_ => pages.Count)]));
        var ticket = program.Enqueue(new Step { Sequences = sequences, Residual = x, OutputRows = outputs, Pages = pages.ToArray(), PageStarts = kv.Groups.IsEmpty ? [] : starts.ToArray() }, kv.Groups.IsEmpty ? [] : [state]);
        T[] values = program.Output<T>(ticket, new OutputId(0)).ToArray();
        if (program is CpuProgram cpu) cpu.AreGuardsIntact.ShouldBeTrue();
        return values;
    }
}
