using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Tare.Diagnostics;

namespace Tare.Bench.Peers;

/// <summary>One of the programs that take turns: a process that stays, with the model loaded, and runs a test when told to.</summary>
internal sealed class Side : IDisposable
{
    private readonly Process _process;

    /// <summary>Starts the process and waits for its first line.</summary>
    public Side(string name, params string[] command)
    {
        Name = name;
        var start = new ProcessStartInfo(command[0]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (string argument in command[1..]) start.ArgumentList.Add(argument);
        _process = Process.Start(start) ?? throw new PeerException($"{command[0]} does not start");
        About = Read();
    }

    /// <summary>How the table calls it.</summary>
    public string Name { get; set; }

    /// <summary>What the process said of itself.</summary>
    public JsonElement About { get; }

    /// <summary>Time in which another side ran.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>Processor time used meanwhile.</summary>
    public TimeSpan ProcessorTimeWaiting { get; private set; }

    /// <summary>Processor time used so far.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Counts another side's run.</summary>
    public void Wait(TimeSpan time, TimeSpan processorTime) => (Waited, ProcessorTimeWaiting) = (Waited + time, ProcessorTimeWaiting + processorTime);

    /// <summary>Mean seconds of a test's repetitions.</summary>
    public double Run(ThroughputTest test, int repetitions)
        => Ask(new { n_prompt = test.Prompt, n_gen = test.Generate, n_depth = test.Depth, repetitions }).GetProperty("samples_ns").EnumerateArray().Average(s => s.GetDouble() * 1e-9);

    /// <summary>Logits [tokens, vocabulary] of a sequence, with a control vector where one is given.</summary>
    public float[] Logits(int[] ids, PeerControlVector? vector = null)
    {
        string file = Path.GetTempFileName();
        try
        {
            Ask(new { ids, file, control_vector = vector });
            return MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file)).ToArray();
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Sends a request and waits for the answer.</summary>
    public JsonElement Ask(object request)
    {
        _process.StandardInput.WriteLine(JsonSerializer.Serialize(request));
        _process.StandardInput.Flush();
        return Read();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
            if (!_process.WaitForExit(5000)) _process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
        }
        _process.Dispose();
    }

    private JsonElement Read()
    {
        while (_process.StandardOutput.ReadLine() is { } line)
            if (line.StartsWith('{'))
            {
                using var json = JsonDocument.Parse(line);
                return json.RootElement.Clone();
            }
        _process.WaitForExit();
        throw new PeerException($"{Name} ended with exit code {_process.ExitCode}");
    }
}
