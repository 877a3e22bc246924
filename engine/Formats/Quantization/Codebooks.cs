using Tare.Formats.Safetensors;

namespace Tare.Formats.Quantization;

/// <summary>The constant tables of the codebook types, read once from the resource <c>codebooks.safetensors</c>: grid rows one after the other, signed entries as their byte.</summary>
internal static class Codebooks
{
    private static readonly Dictionary<string, byte[]> Tables = Load();

    public static readonly byte[] Iq1 = Tables["iq1.grid"];         // [2048, 8] signed
    public static readonly byte[] Iq2Xxs = Tables["iq2_xxs.grid"];  // [256, 8]
    public static readonly byte[] Iq2Xs = Tables["iq2_xs.grid"];    // [512, 8]
    public static readonly byte[] Iq2S = Tables["iq2_s.grid"];      // [1024, 8]
    public static readonly byte[] Iq3Xxs = Tables["iq3_xxs.grid"];  // [256, 4]
    public static readonly byte[] Iq3S = Tables["iq3_s.grid"];      // [512, 4]
    public static readonly byte[] Signs = Tables["iq2.signs"];      // [128], seven bits to a sign byte of even parity
    public static readonly byte[] Iq4 = Tables["iq4.values"];       // [16] signed
    public static readonly byte[] Fp4 = Tables["fp4.doubled"];      // [16] signed

    /// <summary>weights[i] = (scale · grid[first + i]) · (bit i of signs set ? −1 : 1).</summary>
    public static void Store(byte[] grid, int first, int signs, float scale, Span<float> weights)
    {
        var row = grid.AsSpan(first, weights.Length);
        for (int i = 0; i < weights.Length; i++)
        {
            float magnitude = scale * row[i];
            weights[i] = (signs >> i & 1) == 0 ? magnitude : -magnitude;
        }
    }

    private static Dictionary<string, byte[]> Load()
    {
        using var stream = typeof(Codebooks).Assembly.GetManifestResourceStream("codebooks.safetensors") ?? throw new InvalidOperationException("the resource codebooks.safetensors is missing");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return SafetensorsReader.Read(MappedFile.FromBytes("codebooks.safetensors", bytes)).ToDictionary(t => t.Name, t => t.RawRows(0, (int)t.RowCount).ToArray());
    }
}
