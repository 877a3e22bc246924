using System.Collections.Immutable;
using Tare.Formats.Quantization;

namespace Tare.Formats;

/// <summary>Names and sizes of tensor types, also of those that can't be decoded.</summary>
internal static class TensorTypes
{
    private static readonly ImmutableDictionary<int, string> Undecodable = new Dictionary<int, string>
    {
        [4] = "Q4_2",
        [5] = "Q4_3",
        [9] = "Q8_1",
        [15] = "Q8_K",
        [31] = "Q4_0_4_4",
        [32] = "Q4_0_4_8",
        [33] = "Q4_0_8_8",
        [36] = "IQ4_NL_4_4",
        [37] = "IQ4_NL_4_8",
        [38] = "IQ4_NL_8_8",
        [41] = "Q1_0",
    }.ToImmutableDictionary();

    /// <summary>The types that can be decoded, as error messages list them.</summary>
    public static string Known => string.Join(", ", BlockFormats.All.Select(f => f.Type));

    /// <summary>The name, or the number where there is none.</summary>
    public static string NameOf(TensorType type) => Enum.IsDefined(type) ? type.ToString() : Undecodable.GetValueOrDefault((int)type) ?? ((int)type).ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Number and, where known, name.</summary>
    public static string Describe(TensorType type) => NameOf(type) is var name && int.TryParse(name, out _) ? name : $"{(int)type} ({name})";
}
