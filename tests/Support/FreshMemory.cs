using System.Runtime.CompilerServices;
using Tare.Backends.Cpu;

namespace Tare.Tests.Support;

/// <summary>Makes fresh native buffers hold NaN in all tests.</summary>
internal static class FreshMemory
{
    [ModuleInitializer]
    internal static void Fill() => NativeBuffers.FillFresh = true;
}
