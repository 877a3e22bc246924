using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Tare.Bench.Peers;

/// <summary>
/// The few functions of llama.cpp that a bench needs, from the libraries that the package node-llama-cpp brings. They are called directly, since the package's own interface makes new threads for each token, which
/// halves the speed of decoding on two cores; llama-bench, like this class, keeps a pool.
/// </summary>
/// <remarks>Structures are those of llama.h and ggml.h at the release below; another release is refused, since they change.</remarks>
internal sealed unsafe class LlamaCpp : IDisposable
{
    /// <summary>The release whose structures are declared here.</summary>
    public const string KnownRelease = "v0.5.0";

    private const int LogError = 4;

    private readonly nint _llama, _threadPool, _model;
    private readonly string _common;
    private readonly delegate* unmanaged[Cdecl]<nint, void> _pause, _resume;

    private LlamaCpp(nint llama, nint base_, string common, string cpuLibrary, string modelPath, int threads)
    {
        (_llama, _common, CpuLibrary, Threads) = (llama, common, cpuLibrary, threads);
        SystemInfo = Marshal.PtrToStringUTF8(((delegate* unmanaged[Cdecl]<nint>)Export("llama_print_system_info"))())!.Trim();
        nint cpu = NativeLibrary.Load(cpuLibrary);
        ThreadPoolParameters pool;
        ((delegate* unmanaged[Cdecl]<ThreadPoolParameters*, int, void>)NativeLibrary.GetExport(base_, "ggml_threadpool_params_init"))(&pool, threads);
        if (pool.Threads != threads) throw new PeerException("ggml_threadpool_params has another layout than expected");
        _threadPool = ((delegate* unmanaged[Cdecl]<ThreadPoolParameters*, nint>)NativeLibrary.GetExport(cpu, "ggml_threadpool_new"))(&pool);
        _pause = (delegate* unmanaged[Cdecl]<nint, void>)NativeLibrary.GetExport(cpu, "ggml_threadpool_pause");
        _resume = (delegate* unmanaged[Cdecl]<nint, void>)NativeLibrary.GetExport(cpu, "ggml_threadpool_resume");
        var parameters = ((delegate* unmanaged[Cdecl]<ModelParameters>)Export("llama_model_default_params"))();
        byte[] path = [.. Encoding.UTF8.GetBytes(modelPath), 0];
        fixed (byte* p = path) _model = ((delegate* unmanaged[Cdecl]<byte*, ModelParameters, nint>)Export("llama_model_load_from_file"))(p, parameters);
        if (_model == 0) throw new PeerException($"{modelPath}: llama.cpp does not load it");
        Vocabulary = ((delegate* unmanaged[Cdecl]<nint, int>)Export("llama_vocab_n_tokens"))(((delegate* unmanaged[Cdecl]<nint, nint>)Export("llama_model_get_vocab"))(_model));
    }

    /// <summary>The CPU library that ggml chose.</summary>
    public string CpuLibrary { get; }

    /// <summary>The instruction sets of that library, as llama.cpp prints them.</summary>
    public string SystemInfo { get; }

    /// <summary>Threads that compute.</summary>
    public int Threads { get; }

    /// <summary>Number of tokens.</summary>
    public int Vocabulary { get; }

    /// <summary>Loads the libraries and the model; ggml chooses among CPU libraries whose file names are not in <paramref name="without"/>.</summary>
    public static LlamaCpp Load(LlamaCppFiles files, IReadOnlyCollection<string> without, string modelPath, int threads)
    {
        if (files.Release != KnownRelease) throw new PeerException($"{files.Folder}: llama.cpp {files.Release}; this bench knows {KnownRelease} only (node-llama-cpp {LlamaCppFiles.KnownVersion})");
        nint base_ = NativeLibrary.Load(files.Base), ggml = NativeLibrary.Load(files.Ggml), llama = NativeLibrary.Load(files.Llama);
        ((delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<int, byte*, void*, void>, void*, void>)NativeLibrary.GetExport(llama, "llama_log_set"))(&Log, null);
        // ggml takes the best library of a folder, so one that must not be taken is left out of a folder of links.
        var links = Directory.CreateTempSubdirectory("tare-peer-");
        try
        {
            foreach (string library in files.CpuLibraries.Where(l => !without.Contains(Path.GetFileName(l)))) File.CreateSymbolicLink(Path.Combine(links.FullName, Path.GetFileName(library)), library);
            byte[] folder = [.. Encoding.UTF8.GetBytes(links.FullName), 0];
            fixed (byte* p = folder) ((delegate* unmanaged[Cdecl]<byte*, void>)NativeLibrary.GetExport(ggml, "ggml_backend_load_all_from_path"))(p);
        }
        finally
        {
            links.Delete(recursive: true);
        }
        ((delegate* unmanaged[Cdecl]<void>)NativeLibrary.GetExport(llama, "llama_backend_init"))();
        string[] loaded = [.. files.CpuLibraries.Where(l => LoadedFiles().Contains(Path.GetFileName(l)))];
        if (loaded.Length != 1) throw new PeerException($"{files.Folder}: {loaded.Length} of ggml's CPU libraries are loaded, not one");
        return new LlamaCpp(llama, base_, files.Common, loaded[0], modelPath, threads);
    }

    /// <summary>A context with llama-bench's settings: batches of 512, F16 cache, and the pool attached.</summary>
    public nint NewContext(int tokens, FlashAttention attention)
    {
        var parameters = ((delegate* unmanaged[Cdecl]<ContextParameters>)Export("llama_context_default_params"))();
        if (parameters is not { Batch: 2048, MicroBatch: 512, TypeK: 1, TypeV: 1, YarnBetaFast: 32 or -1 }) throw new PeerException("llama_context_params has another layout than expected");
        (parameters.Context, parameters.Threads, parameters.BatchThreads, parameters.FlashAttention) = ((uint)tokens, Threads, Threads, (int)attention);
        nint context = ((delegate* unmanaged[Cdecl]<nint, ContextParameters, nint>)Export("llama_init_from_model"))(_model, parameters);
        if (context == 0) throw new PeerException($"llama.cpp makes no context of {tokens} tokens");
        ((delegate* unmanaged[Cdecl]<nint, nint, nint, void>)Export("llama_attach_threadpool"))(context, _threadPool, 0);
        return context;
    }

    /// <summary>Frees a context.</summary>
    public void Free(nint context) => ((delegate* unmanaged[Cdecl]<nint, void>)Export("llama_free"))(context);

    /// <summary>Computes tokens that follow the cached ones; only the last one's logits. Returns when they are there.</summary>
    public void Decode(nint context, ReadOnlySpan<int> tokens)
    {
        fixed (int* p = tokens) Decode(context, new Batch { Count = tokens.Length, Tokens = p });
    }

    /// <summary>Logits [tokens, vocabulary] of a sequence from its beginning, with a control vector where one is given.</summary>
    public float[] Logits(ReadOnlySpan<int> tokens, FlashAttention attention, PeerControlVector? vector = null)
    {
        nint context = NewContext(tokens.Length, attention);
        vector?.Apply(_llama, _model, context, _common);
        var logits = new float[(long)tokens.Length * Vocabulary];
        var wanted = new byte[tokens.Length];
        Array.Fill(wanted, (byte)1);
        fixed (int* p = tokens)
        fixed (byte* w = wanted) Decode(context, new Batch { Count = tokens.Length, Tokens = p, Wanted = w });
        var row = (delegate* unmanaged[Cdecl]<nint, int, float*>)Export("llama_get_logits_ith");
        for (int t = 0; t < tokens.Length; t++) new ReadOnlySpan<float>(row(context, t), Vocabulary).CopyTo(logits.AsSpan(t * Vocabulary));
        Free(context);
        return logits;
    }

    /// <summary>Forgets what is cached from a position on.</summary>
    public void Truncate(nint context, int position)
    {
        nint memory = ((delegate* unmanaged[Cdecl]<nint, nint>)Export("llama_get_memory"))(context);
        if (((delegate* unmanaged[Cdecl]<nint, int, int, int, byte>)Export("llama_memory_seq_rm"))(memory, 0, position, -1) == 0) throw new PeerException($"llama.cpp does not go back to position {position}");
    }

    /// <summary>Lets the pool sleep at once, where it would spin for a while.</summary>
    public void Pause() => _pause(_threadPool);

    /// <summary>Wakes the pool.</summary>
    public void Resume() => _resume(_threadPool);

    /// <inheritdoc/>
    public void Dispose() => ((delegate* unmanaged[Cdecl]<nint, void>)Export("llama_model_free"))(_model);

    private void Decode(nint context, Batch batch)
    {
        int status = ((delegate* unmanaged[Cdecl]<nint, Batch, int>)Export("llama_decode"))(context, batch);
        if (status != 0) throw new PeerException($"llama_decode of {batch.Count} tokens gave {status}");
        ((delegate* unmanaged[Cdecl]<nint, void>)Export("llama_synchronize"))(context);
    }

    private nint Export(string name) => NativeLibrary.GetExport(_llama, name);

    private static HashSet<string> LoadedFiles()
        => [.. System.Diagnostics.Process.GetCurrentProcess().Modules.Cast<System.Diagnostics.ProcessModule>().Select(m => Path.GetFileName(m.FileName ?? ""))];

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Log(int level, byte* text, void* _)
    {
        if (level == LogError) Console.Error.Write(Marshal.PtrToStringUTF8((nint)text));
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ModelParameters
    {
        public nint Devices, BufferTypes;
        public int GpuLayers, SplitMode, LoadMode, LazyMode, MainGpu;
        public nint TensorSplit, Progress, ProgressData, Overrides;
        public byte VocabularyOnly, CheckTensors, UseExtraBuffers, NoHost, NoAllocation, LoadMultiToken;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ContextParameters
    {
        public uint Context, Batch, MicroBatch, Sequences, RecurrentSnapshots, Outputs, OutputsOfSequence;
        public int Threads, BatchThreads, Type, RopeScaling, Pooling, Attention, FlashAttention;
        public float RopeBase, RopeScale, YarnExtension, YarnAttention, YarnBetaFast, YarnBetaSlow;
        public uint YarnContext;
        public float Defragmentation;
        public nint Callback, CallbackData;
        public int TypeK, TypeV;
        public nint Abort, AbortData;
        public byte Embeddings, OffloadCache, NoTimings, OffloadOps, FullWindowCache, Unified;
        public nint Samplers;
        public nuint SamplerCount;
        public nint Other;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ThreadPoolParameters
    {
        public fixed byte Processors[512];
        public int Threads, Priority;
        public uint Poll;
        public byte Strict, Paused;
    }

    // Positions and sequences stay null: the tokens follow those of sequence 0.
    [StructLayout(LayoutKind.Sequential)]
    private struct Batch
    {
        public int Count;
        public int* Tokens;
        public nint Embeddings, Positions, SequenceCounts, Sequences;
        public byte* Wanted; // of each token: are its logits asked for; null = of the last one
    }
}

/// <summary>llama.cpp's attention kernel.</summary>
internal enum FlashAttention
{
    /// <summary>As llama.cpp chooses, llama-bench's default.</summary>
    Auto = -1,

    /// <summary>Separate products and softmax.</summary>
    Off = 0,

    /// <summary>One kernel.</summary>
    On = 1,
}

/// <summary>The peer is not there, or does not do what was asked.</summary>
internal sealed class PeerException(string message) : Exception(message);
