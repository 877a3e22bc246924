using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tare.Bench.Peers;

/// <summary>The process that runs llama.cpp: requests come as JSON lines, as <c>tare bench --stdin</c> takes them, and each is answered with a line.</summary>
internal sealed class PeerProcess(LlamaCpp llama, FlashAttention attention)
{
    private const int BatchSize = 2048; // llama-bench's; llama.cpp cuts it into steps of 512

    private readonly Dictionary<(int Prompt, int Generate, int Depth), nint> _contexts = []; // one a test, as llama-bench makes them; the depth stays cached
    private readonly Random _random = new(1);

    /// <summary>Runs: MODEL THREADS INSTALLED ATTENTION WITHOUT,… (file names of CPU libraries).</summary>
    public static int Run(string[] arguments)
    {
        var files = LlamaCppFiles.Find(arguments[2]);
        using var llama = LlamaCpp.Load(files, arguments[4].Split(',', StringSplitOptions.RemoveEmptyEntries), arguments[0], int.Parse(arguments[1], System.Globalization.CultureInfo.InvariantCulture));
        Answer(new { package = files.Version, release = files.Release, cpu_library = Path.GetFileName(llama.CpuLibrary), system_info = llama.SystemInfo, vocabulary = llama.Vocabulary });
        var process = new PeerProcess(llama, Enum.Parse<FlashAttention>(arguments[3], ignoreCase: true));
        llama.Pause();
        while (Console.In.ReadLine() is { } line)
        {
            using var request = JsonDocument.Parse(line);
            llama.Resume();
            object answer = request.RootElement.TryGetProperty("ids", out var ids) ? process.WriteLogits([.. ids.EnumerateArray().Select(i => i.GetInt32())], request.RootElement) : process.Measure(request.RootElement);
            llama.Pause();
            Answer(answer);
        }
        return 0;
    }

    private object WriteLogits(int[] ids, JsonElement request)
    {
        string file = request.GetProperty("file").GetString()!;
        var vector = request.TryGetProperty("control_vector", out var given) && given.ValueKind == JsonValueKind.Object ? given.Deserialize<PeerControlVector>() : null;
        File.WriteAllBytes(file, MemoryMarshal.AsBytes<float>(llama.Logits(ids, attention, vector)).ToArray());
        return new { file };
    }

    private object Measure(JsonElement request)
    {
        int Number(string name) => request.TryGetProperty(name, out var value) ? value.GetInt32() : 0;
        var test = (Prompt: Number("n_prompt"), Generate: Number("n_gen"), Depth: Number("n_depth"));
        if (!_contexts.TryGetValue(test, out nint context))
        {
            _contexts[test] = context = llama.NewContext(test.Depth + test.Prompt + test.Generate, attention);
            Read(context, test.Depth);
        }
        var samples = new long[Math.Max(1, Number("repetitions"))];
        for (int r = 0; r < samples.Length; r++)
        {
            llama.Truncate(context, test.Depth);
            var clock = Stopwatch.StartNew();
            Read(context, test.Prompt);
            for (int i = 0; i < test.Generate; i++) llama.Decode(context, [_random.Next(llama.Vocabulary)]);
            samples[r] = (long)clock.Elapsed.TotalNanoseconds;
        }
        return new { n_prompt = test.Prompt, n_gen = test.Generate, n_depth = test.Depth, samples_ns = samples };
    }

    private void Read(nint context, int count)
    {
        for (int done = 0; done < count; done += BatchSize)
        {
            var tokens = new int[Math.Min(BatchSize, count - done)];
            for (int i = 0; i < tokens.Length; i++) tokens[i] = _random.Next(llama.Vocabulary);
            llama.Decode(context, tokens);
        }
    }

    private static void Answer(object value)
    {
        Console.Out.WriteLine(JsonSerializer.Serialize(value));
        Console.Out.Flush();
    }
}
