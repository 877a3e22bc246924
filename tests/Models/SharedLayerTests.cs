using System.Text.Json.Nodes;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

/// <summary>Layers that share weights (ALBERT, recursive transformers, WideNet) and layers of different sizes (OpenELM): they equal the models that they abbreviate, on Reference and CPU; shared weights are packed once.</summary>
public sealed class SharedLayerTests
{
    private const int Width = 48, Heads = 4, Inner = 80, Vocabulary = 97;
    private static readonly int[][] Ids = [[.. Enumerable.Range(0, 40).Select(i => i * 29 % Vocabulary)], [5, 9, 2]];

    [Theory]
    [InlineData(6, 1, 1)]
    [InlineData(6, 2, 1)]
    [InlineData(3, 1, 2)]
    public void Albert_equals_bert_with_its_layers_written_out(int layers, int groups, int inner)
    {
        using RandomCheckpoint shared = new(), plain = new();
        foreach (var (checkpoint, prefix) in new[] { (shared, "albert"), (plain, "bert") })
        {
            checkpoint.Add($"{prefix}.embeddings.word_embeddings.weight", [Vocabulary, Width], like: "words").Add($"{prefix}.embeddings.token_type_embeddings.weight", [2, Width], like: "types")
                .Add($"{prefix}.embeddings.position_embeddings.weight", [64, Width], like: "positions").Add($"{prefix}.embeddings.LayerNorm.weight", [Width], 1, "gain").Add($"{prefix}.embeddings.LayerNorm.bias", [Width], 0, "bias");
        }
        float[] identity = new float[Width * Width];
        for (int i = 0; i < Width; i++) identity[i * Width + i] = 1;
        shared.Add("albert.encoder.embedding_hidden_mapping_in.weight", [Width, Width], identity).Add("albert.encoder.embedding_hidden_mapping_in.bias", [Width], new float[Width]);
        for (int g = 0; g < groups; g++)
            for (int j = 0; j < inner; j++) AddLayer(shared, $"albert.encoder.albert_layer_groups.{g}.albert_layers.{j}.", $"{g}.{j}.", "attention.query", "attention.key", "attention.value", "attention.dense", "attention.LayerNorm", "ffn", "ffn_output", "full_layer_layer_norm");
        for (int i = 0; i < layers * inner; i++)
            AddLayer(plain, $"bert.encoder.layer.{i}.", $"{i / inner * groups / layers}.{i % inner}.", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm");
        JsonObject Config(string name, int count) => new()
        {
            ["architectures"] = new JsonArray(name),
            ["hidden_size"] = Width,
            ["embedding_size"] = Width,
            ["num_attention_heads"] = Heads,
            ["num_hidden_layers"] = count,
            ["num_hidden_groups"] = groups,
            ["inner_group_num"] = inner,
            ["layer_norm_eps"] = 1e-12,
            ["hidden_act"] = "gelu_new",
        };
        using ModelFile albert = shared.Open(Config("AlbertModel", layers)), bert = plain.Open(Config("BertModel", layers * inner));
        Graph one = ArchitectureRegistry.Build(albert), other = ArchitectureRegistry.Build(bert);
        one.HiddenStates.Length.ShouldBe(layers + 1);
        SameOutputs(one, other, GraphBuilder.HiddenOutput, Width);
        PackedOnce(one, other, (layers - groups) * inner * 6);
    }

    [Theory]
    [InlineData("cycle", 2, 0)]
    [InlineData("sequence", 2, 0)]
    [InlineData("cycle", 1, 4)] // WideNet
    public void A_recursive_model_equals_llama_with_its_layers_written_out(string sharing, int blocks, int experts)
    {
        const int depth = 6, kvHeads = 2, headWidth = Width / Heads;
        using RandomCheckpoint shared = new(), plain = new();
        for (int s = 0; s < blocks; s++) AddBlock(shared, $"model.layers.{s}.", s);
        for (int i = 0; i < depth; i++)
        {
            AddBlock(plain, $"model.layers.{i}.", sharing == "cycle" ? i % blocks : i * blocks / depth);
            foreach (string norm in new[] { "input_layernorm", "post_attention_layernorm" })
            {
                shared.Add($"model.norms.{i}.{norm}.weight", [Width], 1, $"{i}.{norm}");
                plain.Add($"model.layers.{i}.{norm}.weight", [Width], 1, $"{i}.{norm}");
            }
        }
        foreach (var checkpoint in new[] { shared, plain }) checkpoint.Add("model.embed_tokens.weight", [Vocabulary, Width]).Add("model.norm.weight", [Width], 1).Add("lm_head.weight", [Vocabulary, Width]);
        JsonObject Config(string name) => new()
        {
            ["architectures"] = new JsonArray(name),
            ["hidden_size"] = Width,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = kvHeads,
            ["num_hidden_layers"] = depth,
            ["num_shared_layers"] = blocks,
            ["layer_sharing"] = sharing,
            ["rms_norm_eps"] = 1e-6,
            ["hidden_act"] = "silu",
            ["num_experts"] = experts == 0 ? null : experts,
            ["num_experts_per_tok"] = 2,
            ["norm_topk_prob"] = true,
            ["num_local_experts"] = experts == 0 ? null : experts,
            ["tie_word_embeddings"] = false,
        };
        using ModelFile recursive = shared.Open(Config("RecursiveForCausalLM")), llama = plain.Open(Config(experts > 0 ? "MixtralForCausalLM" : "LlamaForCausalLM"));
        Graph one = ArchitectureRegistry.Build(recursive), other = ArchitectureRegistry.Build(llama);
        SameOutputs(one, other, GraphBuilder.LogitsOutput, Vocabulary);
        PackedOnce(one, other, (depth - blocks) * (experts > 0 ? 8 : 7)); // the experts of a block are one stack each for gate, up and down

        void AddBlock(RandomCheckpoint to, string prefix, int like)
        {
            void Matrix(string name, int rows, int width) => to.Add($"{prefix}{name}.weight", [rows, width], like: $"{like}.{name}");
            Matrix("self_attn.q_proj", Width, Width);
            Matrix("self_attn.k_proj", kvHeads * headWidth, Width);
            Matrix("self_attn.v_proj", kvHeads * headWidth, Width);
            Matrix("self_attn.o_proj", Width, Width);
            bool mixtral = ReferenceEquals(to, plain) && experts > 0;
            for (int e = 0; e < Math.Max(1, experts); e++)
            {
                string expert = mixtral ? $"block_sparse_moe.experts.{e}." : experts > 0 ? $"mlp.experts.{e}." : "mlp.";
                to.Add($"{prefix}{expert}{(mixtral ? "w1" : "gate_proj")}.weight", [Inner, Width], like: $"{like}.{e}.gate");
                to.Add($"{prefix}{expert}{(mixtral ? "w3" : "up_proj")}.weight", [Inner, Width], like: $"{like}.{e}.up");
                to.Add($"{prefix}{expert}{(mixtral ? "w2" : "down_proj")}.weight", [Width, Inner], like: $"{like}.{e}.down");
            }
            if (experts > 0) to.Add($"{prefix}{(mixtral ? "block_sparse_moe" : "mlp")}.gate.weight", [experts, Width], like: $"{like}.router");
        }
    }

    [Fact]
    public void OpenElm_reads_sizes_layer_by_layer_from_both_formats()
    {
        const int layers = 4, width = 8, d = 40;
        int[] queries = [2, 2, 4, 6], keys = [1, 1, 2, 3], inner = [32, 48, 96, 160];
        using var checkpoint = new RandomCheckpoint();
        checkpoint.Add("transformer.token_embeddings.weight", [Vocabulary, d]).Add("transformer.norm.weight", [d], 1);
        var form = new GgufForm("openelm").Int("block_count", layers).Int("context_length", 128).Int("embedding_length", d).Int("attention.key_length", width).Int("attention.value_length", width).Int("rope.dimension_count", width)
            .Ints("attention.head_count", queries).Ints("attention.head_count_kv", keys).Ints("feed_forward_length", inner).Float("attention.layer_norm_rms_epsilon", 1e-6).Float("rope.freq_base", 10000);
        form.Add("token_embd.weight", [Vocabulary, d], checkpoint.Values("transformer.token_embeddings.weight"));
        form.Add("output_norm.weight", [d], checkpoint.Values("transformer.norm.weight"));
        for (int i = 0; i < layers; i++)
        {
            void Tensor(string name, string gguf, float center, params long[] shape)
            {
                checkpoint.Add($"transformer.layers.{i}.{name}.weight", shape, center);
                if (gguf.Length > 0) form.Add($"blk.{i}.{gguf}.weight", shape, checkpoint.Values($"transformer.layers.{i}.{name}.weight"));
            }
            Tensor("attn_norm", "attn_norm", 1, d);
            Tensor("ffn_norm", "ffn_norm", 1, d);
            Tensor("attn.qkv_proj", "attn_qkv", 0, (queries[i] + 2 * keys[i]) * width, d);
            Tensor("attn.q_norm", "attn_q_norm", 1, width);
            Tensor("attn.k_norm", "attn_k_norm", 1, width);
            Tensor("attn.out_proj", "attn_output", 0, d, queries[i] * width);
            Tensor("ffn.proj_1", "", 0, 2 * inner[i], d);
            Tensor("ffn.proj_2", "ffn_down", 0, d, inner[i]);
            float[] both = checkpoint.Values($"transformer.layers.{i}.ffn.proj_1.weight");
            form.Add($"blk.{i}.ffn_gate.weight", [inner[i], d], both[..(inner[i] * d)]);
            form.Add($"blk.{i}.ffn_up.weight", [inner[i], d], both[(inner[i] * d)..]);
        }
        // As Apple's release writes it: one multiplier a layer.
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray("OpenELMForCausalLM"),
            ["activation_fn_name"] = "swish",
            ["ffn_dim_divisor"] = 16,
            ["ffn_multipliers"] = new JsonArray(0.8, 1.1, 2.5, 4.0),
            ["ffn_with_glu"] = true,
            ["head_dim"] = width,
            ["max_context_length"] = 128,
            ["model_dim"] = d,
            ["model_type"] = "openelm",
            ["normalization_layer_name"] = "rms_norm",
            ["normalize_qk_projections"] = true,
            ["num_gqa_groups"] = 2,
            ["num_kv_heads"] = new JsonArray([.. keys.Select(k => (JsonNode)k)]),
            ["num_query_heads"] = new JsonArray([.. queries.Select(k => (JsonNode)k)]),
            ["num_transformer_layers"] = layers,
            ["rope_freq_constant"] = 10000,
            ["rope_max_length"] = 256,
            ["share_input_output_layers"] = true,
            ["vocab_size"] = Vocabulary,
        };
        using var folder = checkpoint.Open(config);
        var graph = ArchitectureRegistry.Build(folder);
        graph.Nodes.Select(n => n.Op).OfType<Attention>().Select(a => a.Spec.Heads).ShouldBe(queries);
        string path = Path.Combine(checkpoint.Folder, "model.gguf");
        form.Write(path);
        using var file = ModelFile.Open(path);
        SameOutputs(graph, ArchitectureRegistry.Build(file), GraphBuilder.LogitsOutput, Vocabulary);
        config["num_query_heads"]![1] = 3;
        using var wrong = checkpoint.Open(config);
        Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(wrong)).Message.ShouldContain("Split");
    }

    private static void AddLayer(RandomCheckpoint to, string prefix, string like, string query, string key, string value, string output, string firstNorm, string up, string down, string secondNorm)
    {
        void Matrix(string name, string kind, int rows, int width) => to.Add($"{prefix}{name}.weight", [rows, width], like: like + kind).Add($"{prefix}{name}.bias", [rows], like: $"{like}{kind}.b");
        void Norm(string name, string kind) => to.Add($"{prefix}{name}.weight", [Width], 1, like + kind).Add($"{prefix}{name}.bias", [Width], like: $"{like}{kind}.b");
        Matrix(query, "q", Width, Width);
        Matrix(key, "k", Width, Width);
        Matrix(value, "v", Width, Width);
        Matrix(output, "o", Width, Width);
        Norm(firstNorm, "n1");
        Matrix(up, "up", Inner, Width);
        Matrix(down, "down", Width, Inner);
        Norm(secondNorm, "n2");
    }

    // The same numbers in float64, and on the CPU within its limit.
    private static void SameOutputs(Graph graph, Graph other, string output, int width)
    {
        using var reference = new ReferenceBackend();
        using var cpu = new CpuBackend(2);
        double[] expected = WholeSequences.Run<double>(reference, other, Ids)[output];
        float[] single = Array.ConvertAll(expected, v => (float)v);
        Nmse.WorstRow(WholeSequences.Run<double>(reference, graph, Ids)[output], single, width).ShouldBeLessThan(1e-12);
        Nmse.WorstRow(WholeSequences.Run<float>(cpu, graph, Ids)[output], single, width).ShouldBeLessThan(1e-9);
        single.Max(Math.Abs).ShouldBeInRange(0.1f, 100);
    }

    // Matrices that blocks share are in the store once: it holds so many fewer than that of the model with all layers written out.
    private static void PackedOnce(Graph shared, Graph writtenOut, int saved)
    {
        foreach (var create in new Func<IBackend>[] { () => new ReferenceBackend(), () => new CpuBackend(1) })
        {
            using var backend = create();
            using IWeightStore one = backend.CreateWeightStore(), other = backend.CreateWeightStore();
            using var first = backend.Compile(shared, one, new ProgramLimits(8, 2, 8));
            using var second = backend.Compile(writtenOut, other, new ProgramLimits(8, 2, 8));
            (other.Count - one.Count).ShouldBeGreaterThanOrEqualTo(saved, backend.Device.Backend);
            one.Bytes.ShouldBeLessThan(other.Bytes * 3 / 4, backend.Device.Backend);
        }
    }
}
