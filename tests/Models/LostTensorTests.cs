using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tare.Formats;
using Tare.Formats.Safetensors;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

/// <summary>A checkpoint that lost a tensor does not load, whichever tensor it is and whichever architecture; nor does one whose configuration speaks of biases that are not there, or of none that are.</summary>
public sealed partial class LostTensorTests
{
    public static TheoryData<string> Folders() => SharedData.Conformance("architectures") is string root ? [.. Directory.GetDirectories(root).Order(StringComparer.Ordinal).Select(f => Path.GetFileName(f)!)] : ["none"];

    [ConformanceTheory("architectures")]
    [MemberData(nameof(Folders))]
    public void Any_lost_tensor_is_missed(string name)
    {
        string source = Path.Combine(SharedData.Conformance("architectures")!, name), folder = Directory.CreateTempSubdirectory("tare-lost-").FullName;
        try
        {
            File.Copy(Path.Combine(source, "config.json"), Path.Combine(folder, "config.json"));
            using var whole = ModelFile.Open(source);
            // One of each kind, where there are layers that of the second.
            foreach (var lost in whole.Tensors.GroupBy(t => LayerNumber().Replace(t.Name, "#")).Select(g => g.FirstOrDefault(t => t.Name.Contains(".1.", StringComparison.Ordinal)) ?? g.First()))
            {
                SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [.. whole.Tensors.Where(t => t != lost).Select(t => new TensorToWrite(t.Name, t.Type, t.Shape, s => t.CopyRawTo(s)))]);
                using var model = ModelFile.Open(folder);
                var refusal = Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(model), $"{lost.Name} was not missed");
                refusal.Message.ShouldContain("is missing", customMessage: lost.Name);
            }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [ConformanceTheory("architectures")]
    [InlineData("llama", "attention_bias", true, "self_attn.q_proj.bias")]
    [InlineData("llama-bias-headdim", "attention_bias", false, "self_attn.q_proj.bias")]
    [InlineData("llama-bias-headdim", "mlp_bias", false, "mlp.gate_proj.bias")]
    [InlineData("qwen3", "attention_bias", true, "self_attn.q_proj.bias")]
    [InlineData("glm4", "attention_bias", false, "self_attn.q_proj.bias")]
    [InlineData("starcoder2", "use_bias", false, "self_attn.q_proj.bias")]
    [InlineData("opt", "enable_bias", false, "self_attn.q_proj.bias")]
    [InlineData("cohere", "use_qk_norm", true, "self_attn.q_norm.weight")]
    [InlineData("stablelm", "qk_layernorm", true, "self_attn.q_layernorm.norms.0.weight")]
    public void The_configuration_and_the_tensors_must_agree(string name, string key, bool value, string tensor)
    {
        string source = Path.Combine(SharedData.Conformance("architectures")!, name), folder = Directory.CreateTempSubdirectory("tare-lost-").FullName;
        try
        {
            var config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!;
            config[key] = value;
            File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
            File.Copy(Path.Combine(source, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
            using var model = ModelFile.Open(folder);
            Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(model)).Message.ShouldContain(tensor);
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [ConformanceFact("architectures-gguf")]
    public void A_gguf_file_that_lost_a_bias_or_a_norm_is_refused_too()
    {
        string target = Path.Combine(Path.GetTempPath(), $"tare-{Guid.NewGuid():n}.gguf");
        try
        {
            foreach (string file in Directory.GetFiles(SharedData.Conformance("architectures-gguf")!, "*.gguf"))
            {
                using var whole = (Tare.Formats.Gguf.GgufFile)ModelFile.Open(file);
                // A tensor of the second layer; "output.weight" may be missing (tied), and without ffn_norm the stablelm architecture means another form.
                foreach (var lost in whole.Tensors.Where(t => t.Name.StartsWith("blk.1.", StringComparison.Ordinal) && !t.Name.EndsWith("exp_probs_b.bias", StringComparison.Ordinal)))
                {
                    if (lost.Name == "blk.1.ffn_norm.weight" && whole.Metadata.FindString("general.architecture") == "stablelm") continue;
                    Tare.Formats.Gguf.GgufWriter.Write(target, [.. whole.Metadata.Keys.Select(k => { whole.Metadata.TryGet(k, out var type, out object? value); return (k, type, value!); })],
                        [.. whole.Tensors.Where(t => t != lost).Select(t => new TensorToWrite(t.Name, t.Type, t.Shape, s => t.CopyRawTo(s)))]);
                    using var model = ModelFile.Open(target);
                    Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(model), $"{Path.GetFileName(file)}: {lost.Name} was not missed");
                }
            }
        }
        finally
        {
            File.Delete(target);
        }
    }

    [GeneratedRegex(@"(?<=\.)\d+(?=\.)")]
    private static partial Regex LayerNumber();
}
