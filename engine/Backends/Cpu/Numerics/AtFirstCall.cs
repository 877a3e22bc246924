using System.Runtime.CompilerServices;

namespace Tare.Backends.Cpu.Numerics;

/// <summary>
/// For hot loops that pass vectors of 512 bits to methods that are not inlined: the ahead-of-time compiler refuses those, so the runtime compiles them, and it should do so fully when they are first called, not after
/// slow code has been called often.
/// </summary>
internal static class AtFirstCall
{
    public const MethodImplOptions Compiled = MethodImplOptions.AggressiveOptimization;
}
