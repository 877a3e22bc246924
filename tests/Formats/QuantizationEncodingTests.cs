using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Tests.Support;

namespace Tare.Tests.Formats;

public sealed class QuantizationEncodingTests
{
    public static TheoryData<string> Types() => [.. BlockEncoder.Types.Select(t => t.ToString())];

    [ConformanceTheory("quantisation")]
    [MemberData(nameof(Types))]
    public void Every_row_is_rounded_as_well_as_by_the_formats_authors(string type)
    {
        string root = SharedData.Conformance("quantisation")!;
        using var source = ModelFile.Open(Path.Combine(root, "source.safetensors"));
        using var stored = ModelFile.Open(Path.Combine(root, $"{type}.gguf"));
        source.TryGetTensor("w0", out var wanted).ShouldBeTrue();
        stored.TryGetTensor("w0", out var theirs).ShouldBeTrue();
        for (int r = 0; r < wanted!.RowCount; r++)
        {
            float[] values = new float[wanted.Width], their = new float[wanted.Width];
            wanted.ReadRows(r, 1, values);
            theirs!.ReadRows(r, 1, their);
            float[] ours = RoundTrip(theirs.Type, values, out byte[] bytes);
            if (theirs.Type is TensorType.F32 or TensorType.F16 or TensorType.BF16 or TensorType.Q8_0 or TensorType.Q4_0 or TensorType.Q4_1 or TensorType.Q5_0 or TensorType.Q5_1)
                bytes.ShouldBe(theirs.RawRows(r, 1).ToArray(), $"row {r}");
            else Error(ours, values).ShouldBeLessThanOrEqualTo(1.03 * Error(their, values) + 1e-12, $"row {r}");
        }
    }

    [Theory]
    [InlineData("Q8_0", 0.006)]
    [InlineData("Q6_K", 0.02)]
    [InlineData("Q5_K", 0.04)]
    [InlineData("Q5_1", 0.045)]
    [InlineData("Q5_0", 0.05)]
    [InlineData("Q4_K", 0.075)]
    [InlineData("IQ4_NL", 0.085)]
    [InlineData("Q4_1", 0.09)]
    [InlineData("Q4_0", 0.1)]
    [InlineData("MXFP4", 0.13)]
    public void Normal_weights_lose_little(string name, double limit)
    {
        var random = new Random(3);
        float[] values = [.. Enumerable.Range(0, 8192).Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
        Error(RoundTrip(Enum.Parse<TensorType>(name), values, out _), values).ShouldBeInRange(limit / 4, limit);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Zeros_constants_and_extreme_sizes_stay_finite(string name)
    {
        var type = Enum.Parse<TensorType>(name);
        foreach (float size in new[] { 0f, -0f, 1e-38f, 1e-20f, 1e-7f, 1f, 3e4f })
            foreach (int pattern in Enumerable.Range(0, 4))
            {
                float[] values = [.. Enumerable.Range(0, 256).Select(i => pattern switch { 0 => size, 1 => -size, 2 => i % 2 == 0 ? size : -size, _ => i == 77 ? size : 0 })];
                foreach (var (got, want) in RoundTrip(type, values, out _).Zip(values)) Math.Abs(got - want).ShouldBeLessThanOrEqualTo(0.26f * size + 1e-5f, $"{size}, pattern {pattern}");
            }
    }

    private static float[] RoundTrip(TensorType type, float[] values, out byte[] bytes)
    {
        BlockFormats.TryGet(type, out var format).ShouldBeTrue();
        bytes = new byte[values.Length / format!.ValuesPerBlock * format.BytesPerBlock];
        BlockEncoder.Encode(type, values, bytes);
        var decoded = new float[values.Length];
        format.Decode(bytes, decoded);
        return decoded;
    }

    private static double Error(float[] got, float[] want)
    {
        double off = 0, all = 0;
        for (int i = 0; i < want.Length; i++) (off, all) = (off + Math.Pow((double)got[i] - want[i], 2), all + Math.Pow(want[i], 2));
        return all == 0 ? off : Math.Sqrt(off / all);
    }
}
