namespace Tare.Formats.Gguf;

/// <summary>Types of metadata values, with their numbers in the file.</summary>
public enum GgufValueType
{
#pragma warning disable CS1591 // the names are those of the format
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
#pragma warning restore CS1591
}

/// <summary>An array of metadata values. Items are boxed numbers, bools, strings (as <see cref="string"/>) or nested arrays; numbers of one type are kept as a typed .NET array.</summary>
/// <param name="ElementType">Type of the items.</param>
/// <param name="Items">byte[], sbyte[], …, string[] or GgufArray[].</param>
public sealed record GgufArray(GgufValueType ElementType, Array Items);
