using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

public sealed class ArchitectureConformanceTests
{
    [ConformanceTheory("architectures", "architectures-gguf")]
    [MemberData(nameof(ArchitectureCase.All), MemberType = typeof(ArchitectureCase))]
    public void Logits_and_every_hidden_state_equal_the_float64_outputs_or_the_architecture_is_refused_by_name(ArchitectureCase c)
    {
        using var model = c.Open();
        string name = ArchitectureCase.ArchitectureName(model);
        if (!ArchitectureCase.IsRegistered(model))
        {
            var refusal = Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(model));
            refusal.Message.ShouldContain($"'{name}'");
            refusal.Message.ShouldContain("known:");
            return;
        }

        using var expected = ModelFile.Open(c.ExpectedPath);
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(model));
        using var reference = new ReferenceBackend();
        Compare(reference, 1e-12);
        using var cpu = new CpuBackend(2);
        Compare(cpu, 1e-9);

        void Compare(IBackend backend, double limit)
        {
            var outputs = WholeSequences.Run<double>(backend, graph, ArchitectureCase.Tokens(expected));
            var states = ArchitectureCase.HiddenStates(expected);
            graph.HiddenStates.Length.ShouldBe(states.Count);
            for (int i = 0; i < states.Count; i++) Nmse.WorstRow(outputs[$"hidden.{i}"], states[i].Values, states[i].Width).ShouldBeLessThan(limit, $"{backend.Device.Backend}, hidden state {i}");
            if (model is GgufFile && name == "bert") return; // that format has no masked-language-model head
            expected.TryGetTensor("logits", out var logits).ShouldBeTrue();
            Nmse.WorstRow(outputs[GraphBuilder.LogitsOutput], logits!.ToArray(), logits.Width).ShouldBeLessThan(limit, $"{backend.Device.Backend}, logits");
        }
    }

    [Fact]
    public void The_registered_names_are_those_that_the_numbers_were_checked_for()
    {
        ArchitectureRegistry.GgufNames.ShouldBe(["bert", "bloom", "cohere2", "command-r", "deepseek2", "exaone4", "falcon", "gemma", "gemma2", "gemma3", "glm4", "gpt-oss", "gpt2", "gptj", "gptneox", "granite", "llama", "mpt", "nemotron", "olmo",
            "olmo2", "openelm", "phi2", "phi3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "recursive", "smollm3", "stablelm", "starcoder", "starcoder2", "tare-graph"]);
        ArchitectureRegistry.HuggingFaceNames.ShouldBe(["AlbertForMaskedLM", "AlbertModel", "BertForMaskedLM", "BertModel", "BloomForCausalLM", "Cohere2ForCausalLM", "CohereForCausalLM", "DeepseekV3ForCausalLM", "Exaone4ForCausalLM", "FalconForCausalLM",
            "GPT2LMHeadModel", "GPTBigCodeForCausalLM", "GPTJForCausalLM", "GPTNeoXForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "GemmaForCausalLM", "Glm4ForCausalLM", "GptOssForCausalLM", "GraniteForCausalLM",
            "LlamaForCausalLM", "MPTForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "MptForCausalLM", "NemotronForCausalLM", "OPTForCausalLM", "Olmo2ForCausalLM", "OlmoForCausalLM", "OpenELMForCausalLM", "Phi3ForCausalLM", "PhiForCausalLM",
            "Qwen2ForCausalLM", "Qwen2MoeForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "RecursiveForCausalLM", "SmolLM3ForCausalLM", "StableLmForCausalLM", "Starcoder2ForCausalLM", "TareGraph"]);
    }

    [Fact]
    public void An_unknown_architecture_is_refused_with_its_name_and_the_known_ones()
    {
        string folder = Directory.CreateTempSubdirectory("tare-architecture-").FullName;
        try
        {
            string source = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free");
            foreach (string file in Directory.GetFiles(source)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            string config = Path.Combine(folder, "config.json");
            File.WriteAllText(config, File.ReadAllText(config).Replace("GPT2LMHeadModel", "WonderForCausalLM"));
            using var model = ModelFile.Open(folder);
            string message = Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(model)).Message;
            message.ShouldContain("'WonderForCausalLM'");
            message.ShouldContain("known: AlbertForMaskedLM");
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [ConformanceFact("architectures")]
    public void Both_config_dialects_give_the_same_graph()
    {
        foreach (string folder in Directory.GetDirectories(SharedData.Conformance("architectures")!))
        {
            using var model = ModelFile.Open(folder);
            if (!ArchitectureRegistry.HuggingFaceNames.Contains(ArchitectureCase.ArchitectureName(model))) continue;
            using var other = ModelFile.Open(folder, new OpenOptions { ConfigName = "config.transformers5.json" });
            GraphDump.ToText(ArchitectureRegistry.Build(other)).ShouldBe(GraphDump.ToText(ArchitectureRegistry.Build(model)), Path.GetFileName(folder));
        }
    }
}
