using System.Text.Json.Nodes;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

/// <summary>Architectures and rotary scalings whose GGUF form has no fixture: written from the checkpoint folder under llama.cpp's names, they give the outputs of the folder.</summary>
public sealed class GgufFormTests : IDisposable
{
    private static readonly Dictionary<string, string> Llama = new()
    {
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["post_attention_layernorm"] = "ffn_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
        ["self_attn.q_norm"] = "attn_q_norm",
        ["self_attn.k_norm"] = "attn_k_norm",
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("tare-gguf-").FullName;

    private string Target => Path.Combine(_folder, "model.gguf");

    public void Dispose() => Directory.Delete(_folder, true);

    [ConformanceFact("architectures")]
    public void Glm4()
    {
        using var folder = Open("glm4");
        new GgufForm("glm4").Sizes(3, 64, 4, 2, 1.5625e-07).Int("rope.dimension_count", 8).Tensors(folder, new Dictionary<string, string>(Llama)
        {
            ["mlp.gate_up_proj"] = "ffn_up",
            ["post_self_attn_layernorm"] = "post_attention_norm",
            ["post_mlp_layernorm"] = "post_ffw_norm",
        }).Write(Target);
        ShouldGiveTheExpectedOutputs("glm4");
    }

    [ConformanceTheory("architectures")]
    [InlineData("exaone4", 3, false)]
    [InlineData("exaone4-full-layer", 4, false)]
    [InlineData("exaone4-full-layer", 4, true)]
    public void Exaone4(string name, int layers, bool listed)
    {
        using var folder = Open(name);
        var form = new GgufForm("exaone4").Sizes(layers, 64, 4, 2, 1e-5).Int("attention.sliding_window", 8).Tensors(folder, new Dictionary<string, string>(Llama)
        {
            ["post_attention_layernorm"] = "post_attention_norm",
            ["post_feedforward_layernorm"] = "post_ffw_norm",
        });
        if (listed) form.Flags("attention.sliding_window_pattern", [.. Enumerable.Range(0, layers).Select(i => i % 4 != 3)]);
        form.Write(Target);
        ShouldGiveTheExpectedOutputs(name);
    }

    [ConformanceFact("architectures")]
    public void GptJ()
    {
        using var folder = Open("gptj");
        var form = new GgufForm("gptj").Int("block_count", 3).Int("context_length", 128).Int("embedding_length", 64).Int("attention.head_count", 4).Float("attention.layer_norm_epsilon", 1e-5).Int("rope.dimension_count", 8);
        foreach (var tensor in folder.Tensors)
        {
            string name = tensor.Name;
            foreach (var (from, to) in new[] { ("transformer.wte", "token_embd"), ("transformer.ln_f", "output_norm"), ("lm_head", "output"), ("transformer.h", "blk"), ("ln_1", "attn_norm"), ("attn.q_proj", "attn_q"), ("attn.k_proj", "attn_k"), ("attn.v_proj", "attn_v"), ("attn.out_proj", "attn_output"), ("mlp.fc_in", "ffn_up"), ("mlp.fc_out", "ffn_down") })
                name = name.Replace(from, to, StringComparison.Ordinal);
            form.Add(name, [.. tensor.Shape], tensor.ToArray());
        }
        form.Write(Target);
        ShouldGiveTheExpectedOutputs("gptj");
    }

    [ConformanceFact("architectures")]
    public void Gpt_oss_with_gate_and_up_apart()
    {
        using var folder = Open("gpt-oss");
        var form = new GgufForm("gpt-oss").Sizes(3, 64, 4, 2, 1e-5).Int("attention.key_length", 16).Int("attention.value_length", 16).Int("attention.sliding_window", 8).Int("expert_count", 4).Int("expert_used_count", 2)
            .Float("rope.freq_base", 150000).Text("rope.scaling.type", "yarn").Float("rope.scaling.factor", 32).Int("rope.scaling.original_context_length", 4096);
        form.Tensors(folder, new Dictionary<string, string>(Llama) { ["post_attention_layernorm"] = "post_attention_norm", ["mlp.router"] = "ffn_gate_inp" }, (layer, name, tensor) =>
        {
            float[] values = tensor.ToArray();
            void Apart(string suffix, int rows, int width) // every second column (matrices) or element (biases)
            {
                float[] Take(int from) => [.. values.Where((_, i) => i % 2 == from)];
                form.Add($"blk.{layer}.ffn_gate_exps{suffix}", width == 0 ? [4, rows] : [4, rows, width], width == 0 ? Take(0) : GgufForm.Transposed(Take(0), 4, width, rows));
                form.Add($"blk.{layer}.ffn_up_exps{suffix}", width == 0 ? [4, rows] : [4, rows, width], width == 0 ? Take(1) : GgufForm.Transposed(Take(1), 4, width, rows));
            }
            switch (name)
            {
                case "self_attn.sinks": form.Add($"blk.{layer}.attn_sinks.weight", [4], values); return true;
                case "mlp.experts.gate_up_proj": Apart(".weight", 176, 64); return true;
                case "mlp.experts.gate_up_proj_bias": Apart(".bias", 176, 0); return true;
                case "mlp.experts.down_proj": form.Add($"blk.{layer}.ffn_down_exps.weight", [4, 64, 176], GgufForm.Transposed(values, 4, 176, 64)); return true;
                case "mlp.experts.down_proj_bias": form.Add($"blk.{layer}.ffn_down_exps.bias", [4, 64], values); return true;
                default: return false;
            }
        }).Write(Target);
        ShouldGiveTheExpectedOutputs("gpt-oss");
    }

    [ConformanceFact("architectures")]
    public void SmolLM3_rotates_all_but_every_fourth_layer()
    {
        // Nine layers made of the three of the fixture, so that two do not rotate.
        using (var source = Open("smollm3"))
        {
            var tensors = source.Tensors.SelectMany(t => Copies(t.Name, 3, 9).Select(n => new TensorToWrite(n, t.Type, t.Shape, s => t.CopyRawTo(s)))).ToList();
            SafetensorsWriter.Write(Path.Combine(_folder, "model.safetensors"), tensors);
        }
        WriteConfig("smollm3", c => (c["num_hidden_layers"], c["no_rope_layers"], c["no_rope_layer_interval"]) = (9, null, 4));
        using var folder = ModelFile.Open(_folder);
        WriteLlamaForm(folder, new GgufForm("smollm3").Sizes(9, 64, 4, 2, 1e-6).Float("rope.freq_base", 2e6));
        ShouldGiveTheOutputsOf(folder);
    }

    [ConformanceTheory("architectures")]
    [InlineData("llama-linear-rope", "linear", 4)]
    [InlineData("llama-linear-rope", null, 4)] // a factor without a kind
    [InlineData("llama-yarn-rope", "yarn", 8)]
    [InlineData("llama-dynamic-rope", "dynamic", 0)]
    public void Rotary_scalings_of_llama(string name, string? kind, double factor)
    {
        using var folder = Open(name);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(SharedData.Conformance("architectures")!, name, "config.json")))!;
        var form = new GgufForm("llama").Sizes(3, 64, 4, 2, 1e-6).Int("rope.dimension_count", 16);
        if (kind is not null) form.Text("rope.scaling.type", kind);
        if (kind == "dynamic") form = new GgufForm("llama").Int("block_count", 3).Int("context_length", config["max_position_embeddings"]!.GetValue<int>()).Int("embedding_length", 64).Int("attention.head_count", 4).Int("attention.head_count_kv", 2)
            .Float("attention.layer_norm_rms_epsilon", 1e-6).Text("rope.scaling.type", kind);
        form.Float("rope.scaling.factor", factor > 0 ? factor : config["rope_scaling"]!["factor"]!.GetValue<double>());
        if (kind == "yarn") form.Int("rope.scaling.original_context_length", 16);
        WriteLlamaForm(folder, form);
        ShouldGiveTheExpectedOutputs(name);
    }

    [ConformanceFact("architectures")]
    public void Divisors_of_frequencies_go_with_yarn_and_the_attention_factor_multiplies()
    {
        using var source = Open("llama-yarn-rope");
        void Write(double divisor, double theta, double attention)
        {
            var form = new GgufForm("llama").Sizes(3, 64, 4, 2, 1e-6).Float("rope.freq_base", theta).Text("rope.scaling.type", "yarn").Float("rope.scaling.factor", 8).Int("rope.scaling.original_context_length", 16).Float("rope.scaling.attn_factor", attention);
            form.Add("rope_freqs.weight", [8], [.. Enumerable.Repeat((float)divisor, 8)]);
            WriteLlamaForm(source, form);
        }
        Write(1, 10000, 1);
        ShouldGiveTheExpectedOutputs("llama-yarn-rope");
        Write(2, 10000, 0.5);
        using var model = ModelFile.Open(Target);
        var rope = ArchitectureRegistry.Build(model).Nodes.Select(n => n.Op).OfType<Tare.Graphs.Ops.Rope>().First().Spec;
        using var plain = Open("llama-yarn-rope");
        var expected = ArchitectureRegistry.Build(plain).Nodes.Select(n => n.Op).OfType<Tare.Graphs.Ops.Rope>().First().Spec;
        rope.InverseFrequencies.Zip(expected.InverseFrequencies).ShouldAllBe(p => Math.Abs(p.First - p.Second / 2) < 1e-12);
        rope.Magnitude.ShouldBe(expected.Magnitude / 2, 1e-7);
    }

    [ConformanceFact("architectures")]
    public void Phi3_with_long_and_short_divisors()
    {
        using var folder = Open("phi3-longrope");
        var form = new GgufForm("phi3").Sizes(3, 64, 4, 2, 1e-5).Int("rope.dimension_count", 16).Int("rope.scaling.original_context_length", 16).Float("rope.scaling.attn_factor", Math.Sqrt(1 + Math.Log(8) / Math.Log(16)));
        form.Add("rope_factors_long.weight", [8], [2f, 2.5f, 3f, 3.5f, 4f, 4.5f, 5f, 5.5f]);
        form.Add("rope_factors_short.weight", [8], [1f, 1.1f, 1.2f, 1.3f, 1.4f, 1.5f, 1.6f, 1.7f]);
        form.Tensors(folder, new Dictionary<string, string>(Llama) { ["self_attn.qkv_proj"] = "attn_qkv", ["mlp.gate_up_proj"] = "ffn_up" }).Write(Target);
        ShouldGiveTheExpectedOutputs("phi3-longrope");
    }

    [ConformanceTheory("architectures")]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void DeepSeek_V3_with_correction_bias_split_up_projections_and_yarn(bool split, bool yarn)
    {
        const int heads = 4, plain = 16, rotary = 8, value = 16, rank = 32;
        foreach (string file in Directory.GetFiles(Path.Combine(SharedData.Conformance("architectures")!, "deepseek-v3-bias"), "model*")) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        WriteConfig("deepseek-v3-bias", c =>
        {
            if (yarn) c["rope_scaling"] = new JsonObject { ["type"] = "yarn", ["factor"] = 8, ["original_max_position_embeddings"] = 16, ["beta_fast"] = 32, ["beta_slow"] = 1, ["mscale"] = 1.0, ["mscale_all_dim"] = 1.0 };
        });
        using var folder = ModelFile.Open(_folder);
        var form = new GgufForm("deepseek2").Sizes(3, 64, heads, split ? 1 : heads, 1e-6).Int("rope.dimension_count", rotary).Int("attention.q_lora_rank", 32).Int("attention.kv_lora_rank", rank).Int("leading_dense_block_count", 1)
            .Int("attention.key_length", split ? rank + rotary : plain + rotary).Int("attention.value_length", split ? rank : value)
            .Int("expert_count", 8).Int("expert_used_count", 2).Int("expert_gating_func", 2).Float("expert_weights_scale", 2.5).Int("expert_group_count", 2).Int("expert_group_used_count", 1);
        if (split) form.Int("attention.key_length_mla", plain + rotary).Int("attention.value_length_mla", value);
        if (yarn) form.Text("rope.scaling.type", "yarn").Float("rope.scaling.factor", 8).Int("rope.scaling.original_context_length", 16).Float("rope.scaling.yarn_log_multiplier", 0.1);
        var experts = new SortedDictionary<(int, string), List<float[]>>();
        form.Tensors(folder, new Dictionary<string, string>(Llama)
        {
            ["self_attn.q_a_proj"] = "attn_q_a",
            ["self_attn.q_a_layernorm"] = "attn_q_a_norm",
            ["self_attn.q_b_proj"] = "attn_q_b",
            ["self_attn.kv_a_proj_with_mqa"] = "attn_kv_a_mqa",
            ["self_attn.kv_a_layernorm"] = "attn_kv_a_norm",
            ["self_attn.kv_b_proj"] = "attn_kv_b",
            ["mlp.gate"] = "ffn_gate_inp",
            ["mlp.shared_experts.gate_proj"] = "ffn_gate_shexp",
            ["mlp.shared_experts.up_proj"] = "ffn_up_shexp",
            ["mlp.shared_experts.down_proj"] = "ffn_down_shexp",
        }, (layer, name, tensor) =>
        {
            float[] values = tensor.ToArray();
            if (name == "mlp.gate.e_score_correction_bias")
            {
                form.Add($"blk.{layer}.exp_probs_b.bias", [8], values);
                return true;
            }
            if (name.StartsWith("mlp.experts.", StringComparison.Ordinal)) return true; // stacked below
            if (!split || name != "self_attn.kv_b_proj.weight") return false;
            float[] Rows(int from, int count) => [.. Enumerable.Range(0, heads).SelectMany(h => values.AsSpan((h * (plain + value) + from) * rank, count * rank).ToArray())];
            form.Add($"blk.{layer}.attn_k_b.weight", [heads, rank, plain], GgufForm.Transposed(Rows(0, plain), heads, plain, rank));
            form.Add($"blk.{layer}.attn_v_b.weight", [heads, value, rank], Rows(plain, value));
            return true;
        });
        for (int layer = 1; layer < 3; layer++)
            foreach (string kind in new[] { "gate", "up", "down" })
            {
                var parts = Enumerable.Range(0, 8).Select(e => folder.TryGetTensor($"model.layers.{layer}.mlp.experts.{e}.{kind}_proj.weight", out var t) ? t : throw new InvalidOperationException()).ToArray();
                form.Add($"blk.{layer}.ffn_{kind}_exps.weight", [8, .. parts[0].Shape], [.. parts.SelectMany(p => p.ToArray())]);
            }
        form.Write(Target);
        if (yarn) ShouldGiveTheOutputsOf(folder);
        else ShouldGiveTheExpectedOutputs("deepseek-v3-bias");
    }

    private static ModelFile Open(string name) => ModelFile.Open(Path.Combine(SharedData.Conformance("architectures")!, name));

    private void WriteConfig(string name, Action<JsonNode> change)
    {
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(SharedData.Conformance("architectures")!, name, "config.json")))!;
        change(config);
        File.WriteAllText(Path.Combine(_folder, "config.json"), config.ToJsonString());
    }

    // A Llama-like form, q and k rows permuted.
    private void WriteLlamaForm(ModelFile folder, GgufForm form) => form.Tensors(folder, Llama, (layer, name, tensor) =>
    {
        if (name is not ("self_attn.q_proj.weight" or "self_attn.k_proj.weight")) return false;
        bool query = name.Contains("q_proj", StringComparison.Ordinal);
        form.Add($"blk.{layer}.attn_{(query ? 'q' : 'k')}.weight", [.. tensor.Shape], GgufForm.Permuted(tensor.ToArray(), query ? 4 : 2, 64));
        return true;
    }).Write(Target);

    private static IEnumerable<string> Copies(string name, int layers, int wanted)
    {
        const string prefix = "model.layers.";
        if (!name.StartsWith(prefix, StringComparison.Ordinal)) return [name];
        int layer = name[prefix.Length] - '0';
        return Enumerable.Range(0, wanted).Where(i => i % layers == layer).Select(i => $"{prefix}{i}{name[(prefix.Length + 1)..]}");
    }

    private void ShouldGiveTheExpectedOutputs(string name)
    {
        using var expected = ModelFile.Open(Path.Combine(SharedData.Conformance("architectures")!, name, "expected.safetensors"));
        using var model = ModelFile.Open(Target);
        expected.TryGetTensor("logits", out var logits).ShouldBeTrue();
        Compare(model, ArchitectureCase.Tokens(expected), logits!.ToArray(), logits.Width, [.. ArchitectureCase.HiddenStates(expected).Select(s => s.Values)]);
    }

    private void ShouldGiveTheOutputsOf(ModelFile folder)
    {
        int[][] tokens = [[.. Enumerable.Range(0, 24).Select(i => i * 37 % 320)], [.. Enumerable.Range(0, 19).Select(i => i * 91 % 320)]];
        using var reference = new ReferenceBackend();
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(folder));
        var outputs = WholeSequences.Run<float>(reference, graph, tokens);
        using var model = ModelFile.Open(Target);
        Compare(model, tokens, outputs[GraphBuilder.LogitsOutput], 320, [.. graph.HiddenStates.Select((_, i) => outputs[$"hidden.{i}"])]);
    }

    private static void Compare(ModelFile model, int[][] tokens, float[] logits, int vocabulary, float[][] hidden)
    {
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(model));
        graph.HiddenStates.Length.ShouldBe(hidden.Length);
        using var reference = new ReferenceBackend();
        using var cpu = new CpuBackend(2);
        foreach (var (backend, limit) in new (IBackend, double)[] { (reference, 1e-12), (cpu, 1e-9) })
        {
            var outputs = WholeSequences.Run<double>(backend, graph, tokens);
            Nmse.WorstRow(outputs[GraphBuilder.LogitsOutput], logits, vocabulary).ShouldBeLessThan(limit, $"{backend.Device.Backend}, logits");
            for (int i = 0; i < hidden.Length; i++) Nmse.WorstRow(outputs[$"hidden.{i}"], hidden[i], graph.TypeOf(graph.HiddenStates[i]).Width).ShouldBeLessThan(limit, $"{backend.Device.Backend}, hidden state {i}");
        }
    }
}
