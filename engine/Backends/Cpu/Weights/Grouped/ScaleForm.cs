namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>How the scales of a type are stored, in the file and in packed tiles; widened in registers, so that a product reads no more bytes than the file has.</summary>
internal enum ScaleForm
{
    /// <summary>An F16 a group; minimums likewise.</summary>
    Half,

    /// <summary>Unsigned bytes times an F16 that 256 values share; minimums likewise, and subtracted.</summary>
    SharedUnsigned,

    /// <summary>Signed bytes times an F16 that 256 values share.</summary>
    SharedSigned,

    /// <summary>2^(e − 128) for a byte e.</summary>
    Power,
}
