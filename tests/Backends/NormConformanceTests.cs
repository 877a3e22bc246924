using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Weights;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Tests.Support;

namespace Tare.Tests.Backends;

/// <summary>Every operator of <c>conformance/norms</c> on its hard rows: the CPU within the tolerance of a row, Reference within 2⁻²⁶ of it.</summary>
public sealed class NormConformanceTests
{
    public static TheoryData<string> Cases()
    {
        var names = new TheoryData<string>();
        if (SharedData.Conformance("norms") is not string folder) return ["none"];
        foreach (var item in JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "norms.json"))).RootElement.GetProperty("cases").EnumerateArray()) names.Add(item.GetProperty("name").GetString()!);
        return names;
    }

    [ConformanceTheory("norms")]
    [MemberData(nameof(Cases))]
    public void Operators_match_the_float64_reference_on_hard_rows(string name)
    {
        using var norm = new NormCase(name);
        var (graph, rows, constants) = norm.Build();
        foreach (var (output, value) in constants) norm.Compare(output, value, Math.Pow(2, -26), "weights");
        using var reference = new ReferenceBackend(2);
        using var cpu = new CpuBackend(2);
        foreach (var (backend, share) in new (IBackend, double)[] { (reference, Math.Pow(2, -26)), (cpu, 1) })
        {
            var outputs = WholeSequences.Run<double>(backend, graph, [.. Enumerable.Range(0, rows)]);
            foreach (string output in norm.Outputs.Except(constants.Keys))
                if (output == "y" && norm.IsStatic) norm.Compare(output, outputs["y_static"], share, backend.Device.Backend, "y_static");
                else norm.Compare(output, outputs[output], share, backend.Device.Backend);
        }
    }

    [ConformanceTheory("norms")]
    [InlineData("crmsnorm.strided.17")]
    [InlineData("crmsnorm.strided.64")]
    [InlineData("crmsnorm.strided.768")]
    public unsafe void A_norm_of_strided_rows_neither_reads_nor_writes_what_lies_between_them(string name)
    {
        using var norm = new NormCase(name);
        var (values, rows, stride, width, spec) = norm.Strided();
        values[width].ShouldBe(float.NaN);
        using var weights = new CpuWeights(threads: 1);
        var builder = new GraphBuilder();
        var residual = builder.Residual(width);
        using var context = new KernelContext(builder.Finish(new GraphOutput("x", residual)), weights, new ProgramLimits(1, 1, 1), 1);
        var function = CpuOps.Function(context, new Norm(spec, null, null), [context.TypeOf(residual)]);
        float[] output = [.. values];
        fixed (float* from = values, to = output)
        {
            RowBlock x = new(from, stride), y = new(to, stride);
            function.Run(null!, 0, rows, &x, &y, null);
        }
        norm.Compare("y", [.. Enumerable.Range(0, rows).SelectMany(r => output.Skip(r * stride).Take(width)).Select(v => (double)v)], 1, "CPU");
        for (int i = 0; i < output.Length; i++)
            if (i % stride >= width) BitConverter.SingleToInt32Bits(output[i]).ShouldBe(BitConverter.SingleToInt32Bits(values[i]), $"row {i / stride}, element {i % stride}");
    }

    /// <summary>One case as a graph: inputs are tables whose row r a token r looks up.</summary>
    private sealed class NormCase : IDisposable
    {
        private readonly ModelFile _file;
        private readonly JsonElement _case;
        private readonly GraphBuilder _g = new();

        public NormCase(string name)
        {
            string folder = SharedData.Conformance("norms")!;
            var root = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "norms.json"))).RootElement;
            _file = ModelFile.Open(Path.Combine(folder, root.GetProperty("tensors").GetString()!));
            _case = root.GetProperty("cases").EnumerateArray().First(c => c.GetProperty("name").GetString() == name);
        }

        public string[] Outputs => [.. _case.GetProperty("outputs").EnumerateArray().Select(o => o.GetString()!)];

        private double Epsilon => Number("eps") ?? 0;

        private int Heads => (int)Number("heads")!.Value;

        private NormSpec Spec => (Text("kind") ?? _case.GetProperty("operator").GetString()!) switch
        {
            "LN" or "LayerNorm" or "AddLayerNorm" => NormSpec.LayerNorm(Epsilon) with { GainOffset = (int)(Number("weight_offset") ?? 0) },
            "L2" or "ScaleNorm" => new NormSpec(NormKind.UnitLength, Epsilon),
            _ => NormSpec.RmsNorm(Epsilon, (int)(Number("weight_offset") ?? 0)) with { OutputScale = Number("layer") is double layer ? 1 / Math.Sqrt(layer) : 1 },
        };

        /// <summary>The graph, its rows, and outputs that are weights.</summary>
        public (Graph Graph, int Rows, Dictionary<string, double[]> Constants) Build()
        {
            var constants = new Dictionary<string, double[]>();
            if (_case.GetProperty("operator").GetString() == "AttentionResidual") return (DepthAttention(), (int)Tensor("values").Shape[0], constants);
            int rows = (int)Tensor("x").Shape[0];
            return (Build(rows, constants), rows, constants);
        }

        /// <summary>Rows of a compressed norm as they are stored, with what lies between them.</summary>
        public (float[] Values, int Rows, int Stride, int Width, NormSpec Spec) Strided()
            => (Tensor("x").ToArray(), (int)Tensor("x").Shape[0], (int)Number("row_stride")!.Value, (int)Number("stored_width")!.Value, new NormSpec(NormKind.CompressedRmsNorm, Epsilon) { FullWidth = (int)Number("full_width")!.Value });

        private Graph Build(int rows, Dictionary<string, double[]> constants)
        {
            Value x = Look("x", rows);
            int width = _g.WidthOf(x);
            switch (_case.GetProperty("operator").GetString())
            {
                case "AddLayerNorm" or "AddRMSNorm":
                    Value sum = _g.Add(x, Look("addend", rows));
                    return _g.Finish(new GraphOutput("sum", sum), Y(_g.Norm(sum, Spec, new(Find("weight"), Find("bias")))));
                case "LayerNorm" when Text("ln_free") is not null:
                    // A huge ε is static from the moment it is read; its literal form is no graph.
                    Should.Throw<GraphException>(() => _g.Norm(x, new NormSpec(NormKind.LayerNorm, Epsilon), new(Find("weight"), Find("bias")))).Message.ShouldContain("static");
                    return _g.Finish(new GraphOutput("y_static", _g.Norm(x, Spec, new(Find("weight"), Find("bias")))));
                case "LayerNorm" or "RMSNorm":
                    return _g.Finish(Y(_g.Norm(x, Spec, new(Find("weight"), Find("bias")))));
                case "SingleScaleRMSNorm" or "ScaleNorm":
                    return _g.Finish(Y(_g.Norm(x, Spec, new(new BroadcastWeight(Vector("scale"), width)))));
                case "CRMSNorm" or "IsometricCRMSNorm":
                    var kind = _case.GetProperty("operator").GetString() == "CRMSNorm" ? NormKind.CompressedRmsNorm : NormKind.IsometricCompressedRmsNorm;
                    return _g.Finish(Y(_g.Norm(x, new NormSpec(kind, Epsilon) { FullWidth = (int)Number("full_width")!.Value })));
                case "StaticLayerNorm":
                    return _g.Finish(Y(_g.Norm(x, new NormSpec(NormKind.Static, Math.Pow(Number("sigma")!.Value, 2), Center: true), new(Find("weight"), Find("bias")))));
                case "StaticAffine":
                    return _g.Finish(Y(_g.Norm(x, new NormSpec(NormKind.Static, 1), new(Find("gain"), Find("bias")))));
                case "QKNorm":
                    return _g.Finish(Y(_g.Norm(x, Spec with { Groups = Text("group") is null ? Heads : 1 }, new(Find("weight"), Find("bias")))));
                case "QKVNormAttention" or "PreNormAttention":
                    return Attention(x, rows);
                case "DyT":
                    return _g.Finish(Y(_g.Append(new Norm(new NormSpec(NormKind.DynamicTanh, 0), Find("weight"), Find("bias")) { Alpha = Vector("alpha") }, x)));
                case "BHyT":
                    return _g.Finish(Y(Bounded(x, "lam", "weight")));
                case "BHyTBlock":
                    var energy = new ProductEnergyWeight(Matrix("w_o"), Matrix("w_v"), Vector("lam_attn"), Number("kappa")!.Value, (int)Number("sequence_length")!.Value);
                    double lambda = Vector("lam_attn").ToWideVector()[0] / Number("kappa")!.Value;
                    constants.Add("c_attn", [.. Enumerable.Repeat(energy.ToWideVector()[0] / (lambda * lambda), rows)]);
                    Value mlp = _g.Append(new Norm(new NormSpec(NormKind.BoundedTanh, Epsilon) { Bound = Number("kappa")!.Value }, Find("weight_mlp"), null) { Alpha = Vector("lam_mlp"), ExtraVariance = energy }, _g.Add(x, Look("addend", rows)), x);
                    return _g.Finish(new GraphOutput("y_attn", Bounded(x, "lam_attn", "weight_attn")), new GraphOutput("y_mlp", mlp));
                case "SeeDNorm":
                    return _g.Finish(Y(_g.Append(new Norm(new NormSpec(NormKind.DynamicGain, Epsilon), Find("weight"), null) { Alpha = Vector("alpha"), Direction = Vector("beta") }, x)));
                case "GroupedRMSNorm":
                    return _g.Finish(Y(_g.Norm(x, Spec with { Groups = (int)Number("groups")!.Value }, new(Find("weight")))));
                case "PowerNorm":
                    return _g.Finish(Y(_g.Norm(x, NormSpec.RmsNorm(Number("group_eps")!.Value, groups: (int)Number("groups")!.Value), new(new StatisticsGainWeight(Vector("weight"), Vector("running_phi"), Epsilon), Find("bias")))));
                case "UnifiedNormInference":
                    return _g.Finish(Y(_g.Norm(x, new NormSpec(NormKind.Static, 1), new(new StatisticsGainWeight(Vector("weight"), Vector("running_var"), Epsilon), Find("bias")))));
                case "BatchNormInference" or "PRepBNInference":
                    var gain = new StatisticsGainWeight(Vector("weight"), Vector("running_var"), Epsilon, Find("eta"));
                    var bias = new StatisticsBiasWeight(Vector("bias"), Vector("weight"), Vector("running_mean"), Vector("running_var"), Epsilon);
                    if (Outputs.Length > 1)
                    {
                        constants.Add("static_gain", [.. Enumerable.Repeat(gain.ToWideVector(), rows).SelectMany(v => v)]);
                        constants.Add("static_bias", [.. Enumerable.Repeat(bias.ToWideVector(), rows).SelectMany(v => v)]);
                    }
                    return _g.Finish(Y(_g.Norm(x, new NormSpec(NormKind.Static, 1), new(gain, bias))));
                case var other:
                    throw new InvalidOperationException($"operator '{other}' is not known");
            }
        }

        // The pattern is what attention makes of one-hot values.
        private Graph Attention(Value x, int rows)
        {
            bool pre = _case.GetProperty("operator").GetString() == "PreNormAttention";
            int width = (int)Number("head_dim")!.Value;
            Value Project(string which)
            {
                Value projected = _g.Linear(pre ? _g.Norm(x, Spec) : x, Matrix($"w{which}"));
                return pre ? projected : _g.Norm(projected, Spec with { Groups = Heads }, new(Find($"{which}_weight"), Find($"{which}_bias")));
            }
            Value q = Project("q"), k = Project("k"), v = Project("v");
            var spec = new AttentionSpec(Heads, Heads, width, width, 1 / Math.Sqrt(width));
            float[] oneHot = [.. Enumerable.Range(0, rows).SelectMany(r => Enumerable.Range(0, Heads * rows).Select(i => i % rows == r ? 1f : 0f))];
            using (_g.Block(x))
            {
                Value y = _g.Linear(_g.Attention(q, k, v, spec), Matrix("wo"));
                Value keys = _g.Append(new KvAppend(1, Heads, Heads * width, Heads * rows), k, _g.Embed(new ConstantWeight("one-hot", rows, Heads * rows, oneHot)));
                Value pattern = _g.Append(new Attention(spec with { ValueWidth = rows }), q, keys);
                GraphOutput[] outputs = [Y(y), new("pattern", pattern), new("q", q), new("k", k), new("v", v)];
                return _g.Finish([.. outputs.Where(o => Outputs.Contains(o.Name))]);
            }
        }

        private Graph DepthAttention()
        {
            var values = Tensor("values");
            float[] all = values.ToArray();
            int rows = (int)values.Shape[0], depth = (int)values.Shape[1], width = values.Width;
            Value[] inputs = [.. Enumerable.Range(0, depth).Select(d => _g.Embed(new ConstantWeight($"depth {d}", rows, width, [.. Enumerable.Range(0, rows).SelectMany(r => all.Skip((r * depth + d) * width).Take(width))])))];
            var mixed = _g.AppendAll(new DepthAttention(Vector("query"), Vector("weight"), Epsilon), inputs);
            return _g.Finish(Y(mixed[0]), new GraphOutput("depth_weights", mixed[1]));
        }

        /// <summary>A LayerNorm of huge ε, whose literal output <c>y</c> is a little off from what its static form gives.</summary>
        public bool IsStatic => Text("ln_free") is not null;

        /// <summary>Compares an output with the reference's; one that has another formula (<paramref name="other"/>) may also differ by as much as the reference's outputs of both formulas do.</summary>
        public void Compare(string output, double[] actual, double share, string backend, string? other = null)
        {
            double[] expected = Doubles(_case.GetProperty("tensors").GetProperty(output).GetString()!);
            int index = Array.IndexOf(Outputs, output);
            double[] tolerance = Doubles(_case.GetProperty("tolerance")[index].GetString()!);
            actual.Length.ShouldBe(expected.Length, output);
            int width = expected.Length / tolerance.Length;
            double[] apart = other is null ? new double[expected.Length] : [.. Doubles(_case.GetProperty("tensors").GetProperty(other).GetString()!).Zip(expected, (a, b) => Math.Abs(a - b))];
            for (int i = 0; i < expected.Length; i++)
                Math.Abs(actual[i] - expected[i]).ShouldBeLessThanOrEqualTo(tolerance[i / width] * share + apart[i], $"{backend}, {output}, row {i / width}, element {i % width}: {actual[i]:R}, expected {expected[i]:R}");
        }

        public void Dispose() => _file.Dispose();

        private static GraphOutput Y(Value value) => new("y", value);

        private Value Bounded(Value x, string lambda, string gain) => _g.Append(new Norm(new NormSpec(NormKind.BoundedTanh, Epsilon) { Bound = Number("kappa")!.Value }, Find(gain), null) { Alpha = Vector(lambda) }, x);

        // Rows without the padding that a stride leaves behind them.
        private Value Look(string name, int rows)
        {
            float[] values = Tensor(name).ToArray();
            int stride = values.Length / rows, width = (int)(Number("stored_width") ?? stride);
            return _g.Embed(new ConstantWeight(name, rows, width, [.. Enumerable.Range(0, rows).SelectMany(r => values.Skip(r * stride).Take(width))]));
        }

        private ConstantWeight? Find(string name) => _case.GetProperty("tensors").TryGetProperty(name, out _) ? Vector(name) : null;

        private ConstantWeight Vector(string name) => new(name, 1, (int)Tensor(name).ElementCount, Tensor(name).ToArray());

        private ConstantWeight Matrix(string name) => new(name, Tensor(name).RowCount, Tensor(name).Width, Tensor(name).ToArray());

        private MappedTensor Tensor(string name)
        {
            _file.TryGetTensor(_case.GetProperty("tensors").GetProperty(name).GetString()!, out var tensor).ShouldBeTrue(name);
            return tensor!;
        }

        private double[] Doubles(string name)
        {
            _file.TryGetTensor(name, out var tensor).ShouldBeTrue(name);
            var values = new double[tensor!.ElementCount];
            tensor.ReadRows(0, (int)tensor.RowCount, values);
            return values;
        }

        private double? Number(string name) => _case.GetProperty("attributes").TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

        private string? Text(string name) => _case.GetProperty("attributes").TryGetProperty(name, out var value) ? value.ToString() : null;
    }
}
