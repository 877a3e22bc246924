using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Tests.Support;

namespace Tare.Tests.Formats;

public sealed class QuantizationConformanceTests
{
    public static TheoryData<string> Types()
        => SharedData.Conformance("quantisation") is string root ? [.. Directory.GetFiles(root, "*.gguf").Order(StringComparer.Ordinal).Select(f => Path.GetFileNameWithoutExtension(f)!)] : ["none"];

    [ConformanceTheory("quantisation")]
    [MemberData(nameof(Types))]
    public void Every_tensor_decodes_to_the_bits_of_the_reference_decoder(string type)
    {
        string root = SharedData.Conformance("quantisation")!;
        using var stored = ModelFile.Open(Path.Combine(root, $"{type}.gguf"));
        using var expected = ModelFile.Open(Path.Combine(root, $"{type}.safetensors"));
        stored.Tensors.Count.ShouldBeGreaterThan(0);
        foreach (var tensor in stored.Tensors)
        {
            tensor.Type.ToString().ShouldBe(type);
            expected.TryGetTensor(tensor.Name, out var values).ShouldBeTrue();
            tensor.Shape.ShouldBe(values!.Shape);
            Bits(tensor.ToArray()).ShouldBe(Bits(values.ToArray()), tensor.Name);
        }
    }

    [Fact]
    public void Vector_and_plain_decoding_agree_on_random_blocks()
    {
        var random = new Random(7);
        foreach (var format in BlockFormats.All)
        {
            var blocks = new byte[200 * format.BytesPerBlock];
            random.NextBytes(blocks);
            float[] fast = new float[200 * format.ValuesPerBlock], plain = new float[fast.Length];
            format.Decode(blocks, fast);
            format.DecodePlain(blocks, plain);
            for (int i = 0; i < fast.Length; i++)
                if (!(float.IsNaN(fast[i]) && float.IsNaN(plain[i]))) BitConverter.SingleToUInt32Bits(fast[i]).ShouldBe(BitConverter.SingleToUInt32Bits(plain[i]), $"{format.Type}, value {i}");
        }
    }

    [Fact]
    public void Every_named_type_has_a_decoder() => BlockFormats.All.Select(f => f.Type).Order().ShouldBe(Enum.GetValues<TensorType>().Where(t => t != TensorType.Unknown).Order());

    [Theory]
    [InlineData(TensorType.F8_E4M3, 0x7E, 448f)]
    [InlineData(TensorType.F8_E4M3, 0x01, 0.001953125f)]
    [InlineData(TensorType.F8_E4M3, 0xB8, -1f)]
    [InlineData(TensorType.F8_E5M2, 0x7B, 57344f)]
    [InlineData(TensorType.F8_E5M2, 0x7C, float.PositiveInfinity)]
    [InlineData(TensorType.F8_E5M2, 0xBC, -1f)]
    public void Eight_bit_floats_decode_as_the_paper_says(TensorType type, int code, float value)
    {
        BlockFormats.TryGet(type, out var format).ShouldBeTrue();
        var decoded = new float[1];
        format!.Decode([(byte)code], decoded);
        decoded[0].ShouldBe(value);
    }

    private static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);
}
