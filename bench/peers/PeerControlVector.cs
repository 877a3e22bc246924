using System.Runtime.InteropServices;
using System.Text;

namespace Tare.Bench.Peers;

/// <summary>A control vector as llama.cpp's command line takes it: read by llama.cpp's own reader, with the command line's defaults for the layers.</summary>
/// <param name="Path">The GGUF file.</param>
/// <param name="Scale">What its directions are multiplied by.</param>
/// <param name="First">First layer; null = not given.</param>
/// <param name="Last">Last layer, included; null = not given.</param>
internal sealed record PeerControlVector(string Path, float Scale, int? First, int? Last)
{
    /// <summary>Applies it to a context. Throws <see cref="PeerException"/> where llama.cpp refuses it.</summary>
    public unsafe void Apply(nint llama, nint model, nint context, string common)
    {
        nint library = NativeLibrary.Load(common);
        byte[] path = [.. Encoding.UTF8.GetBytes(Path), 0];
        fixed (byte* p = path)
        {
            var item = new LoadItem { Scale = Scale, Path = p, Length = (nuint)path.Length - 1, Capacity = (nuint)path.Length - 1 };
            var items = new Vector { First = &item, Last = &item + 1, End = &item + 1 };
            Loaded loaded; // its memory belongs to the library's allocator and stays until the process ends
            ((delegate* unmanaged[Cdecl]<Loaded*, Vector*, Loaded*>)NativeLibrary.GetExport(library, "_Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE"))(&loaded, &items);
            if (loaded.Width <= 0) throw new PeerException($"{Path}: llama.cpp does not read it");
            int layers = ((delegate* unmanaged[Cdecl]<nint, int>)NativeLibrary.GetExport(llama, "llama_model_n_layer"))(model);
            nuint count = (nuint)((float*)loaded.Data.Last - (float*)loaded.Data.First);
            int status = ((delegate* unmanaged[Cdecl]<nint, float*, nuint, int, int, int, int>)NativeLibrary.GetExport(llama, "llama_set_adapter_cvec"))(context, (float*)loaded.Data.First, count, loaded.Width, First ?? 1, Last ?? layers);
            if (status != 0) throw new PeerException($"{Path}: llama_set_adapter_cvec gave {status}");
        }
    }

    // std::vector of libstdc++.
    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Vector
    {
        public void* First, Last, End;
    }

    // common_control_vector_load_info: float, then a std::string that points to text outside of it.
    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct LoadItem
    {
        public float Scale;
        public byte* Path;
        public nuint Length, Capacity, Unused;
    }

    // common_control_vector_data: returned through a pointer, as it is no plain structure.
    [StructLayout(LayoutKind.Sequential)]
    private struct Loaded
    {
        public int Width;
        public Vector Data;
    }
}
