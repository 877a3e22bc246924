using Tare.Backends.Cpu;
using Tare.Execution;
using Tare.Formats;
using Tare.Generation;
using Tare.Graphs;
using Tare.Synthesis;
using Tare.Tests.Cli;
using Tare.Tests.Support;

namespace Tare.Tests.Backends.Cpu;

/// <summary>A row's bits ignore threads, chunks, company, phase and vector width, across the borders of pages and key blocks too.</summary>
public sealed class SameBitsTests
{
    private static readonly int[] Text = [.. Enumerable.Range(0, 600).Select(i => (i * 7 + i / 5) % 37)];
    private static readonly ProgramLimits Limits = new(700, 4, 700);

    [Theory, MemberData(nameof(KvTypeTests.Types), MemberType = typeof(KvTypeTests))]
    public void Threads_chunks_and_phase_do_not_change_a_bit_over_key_blocks(KvType keys, KvType values)
    {
        foreach (var model in new[] { new RandomModel(Blocks: 2, KeyType: keys, ValueType: values), new RandomModel(Seed: 3, Blocks: 2, HeadWidth: 40, Window: 100, KeyType: keys, ValueType: values) })
        {
            var graph = model.Build();
            float[] expected = Run(graph, 1, 600, Phase.Prompt);
            Run(graph, 2, 600, Phase.Prompt).ShouldBe(expected);
            // Borders of pages, key blocks and the window, one before and one behind.
            foreach (int chunk in new[] { 31, 33, 97, 99, 101, 255, 257 }) Run(graph, 3, chunk, Phase.Prompt).ShouldBe(expected, $"chunk {chunk}");
            Run(graph, 2, 1, Phase.Generated).ShouldBe(expected);
            Run(graph, 1, 8, Phase.Draft).ShouldBe(expected);
        }
    }

    // Counted on each thread of the pool, the caller among them: other tests allocate meanwhile.
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public void A_thousand_steps_allocate_nothing(int threads, bool lengthDependent)
    {
        using var backend = new CpuBackend(threads);
        var graph = new RandomModel(Blocks: 2, Dynamic: lengthDependent ? new DynamicRope(10000, 2, 100) : null).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var state = backend.CreateState(new StateLayout(program.Signature.Kv, [40]));
        int[] pages = [.. Enumerable.Range(0, 40)], starts = [0, 40], outputs = [0];
        IState[] states = [state];
        var sequences = new SequenceRows[1];
        var logits = program.Signature.Output("logits");
        var sampler = new Sampler(new SamplingOptions { Seed = 1, RepeatPenalty = 1.1, MinP = 0.01 }, 37);
        int sum = 0;
        Steps(1100); // attention grows its buffer of block states to the length of the context once
        AllocatedBytes before = new(backend.Pool), after = new(backend.Pool);
        // The runtime itself allocates now and then where it compiles a method anew; what a step allocates would show in every round.
        Enumerable.Range(0, 3).Min(_ =>
        {
            before.Read();
            Steps(1000);
            after.Read();
            return after.OfThread.Zip(before.OfThread, (a, b) => a - b).Sum();
        }).ShouldBe(0);
        sum.ShouldBeGreaterThan(0);

        void Steps(int count)
        {
            for (int i = 0; i < count; i++)
            {
                sequences[0] = new SequenceRows(0, 0, 1, i, Phase.Generated, i + 1);
                var ticket = program.Enqueue(new Step { Sequences = sequences, Tokens = Text.AsSpan(i % 600, 1), Pages = pages, PageStarts = starts, OutputRows = outputs }, states);
                program.Wait(ticket);
                sum += sampler.Sample(program.Output<float>(ticket, logits), Text.AsSpan(0, 1 + i % 600));
                program.Release(ticket);
            }
        }
    }

    [Fact]
    public void A_fault_in_a_kernel_reaches_the_caller_and_the_program_goes_on()
    {
        using var backend = new CpuBackend(2);
        var graph = new RandomModel(Blocks: 1).Build();
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, program.Signature.Kv);
        float[] expected = runner.Step<float>(program, "logits", [(0, Text[..5], 0)]);
        Should.Throw<ArgumentException>(() => runner.Step<float>(program, "logits", [(1, [1, 37], 0)])).Message.ShouldContain("37");
        Should.Throw<ArgumentException>(() => runner.Step<float>(program, "logits", [(2, [-1], 0)]));
        runner.Step<float>(program, "logits", [(3, Text[..5], 0)]).ShouldBe(expected);
    }

    [Theory]
    [InlineData("DOTNET_EnableAVX512", TensorType.Q4_1)]
    [InlineData("DOTNET_EnableAVX2", TensorType.Q4_0)]
    [InlineData("DOTNET_EnableAVX512", TensorType.Q8_0)]
    [InlineData("DOTNET_EnableHWIntrinsic", TensorType.Q8_0)]
    public void Other_vector_widths_give_the_same_bits_with_integer_activations(string variable, TensorType type)
    {
        string folder = Directory.CreateTempSubdirectory("tare-bits-").FullName;
        try
        {
            string model = Path.Combine(folder, "model.gguf"), a = Path.Combine(folder, "a.safetensors"), b = Path.Combine(folder, "b.safetensors");
            SyntheticModel.Write(model, SyntheticShape.Known["llama-1b"] with { Blocks = 2, Width = 96, Heads = 3, KvHeads = 1, HeadWidth = 32, Inner = 160, Vocabulary = 307 }, type, 1);
            string[] arguments = ["logits", "-m", model, "--ids", string.Join(',', Enumerable.Range(0, 37)), "--precision", "fast", "-o"];
            CommandLine.Run([.. arguments, a]).ExitCode.ShouldBe(0);
            var (code, _, error) = CommandLine.RunWith(new() { [variable] = "0" }, "", [.. arguments, b, "-t", "1", "--chunk", "5"]);
            code.ShouldBe(0, error);
            File.ReadAllBytes(b).ShouldBe(File.ReadAllBytes(a));
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Theory]
    [InlineData("DOTNET_EnableAVX512", "f32", "f32")]
    [InlineData("DOTNET_EnableAVX512", "f16", "q8_0")]
    [InlineData("DOTNET_EnableAVX2", "q8_0", "f16")]
    [InlineData("DOTNET_EnableHWIntrinsic", "q8_0", "f16")]
    public void Other_vector_widths_give_the_same_bits(string variable, string keys, string values)
    {
        string folder = Directory.CreateTempSubdirectory("tare-bits-").FullName;
        try
        {
            string model = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"), a = Path.Combine(folder, "a.safetensors"), b = Path.Combine(folder, "b.safetensors");
            string[] arguments = ["logits", "-m", model, "--text", "Once upon a time there was a fox who counted", "--hidden", "-ctk", keys, "-ctv", values, "-o"];
            CommandLine.Run([.. arguments, a]).ExitCode.ShouldBe(0);
            var (code, _, error) = CommandLine.RunWith(new() { [variable] = "0" }, "", [.. arguments, b, "-t", "1"]);
            code.ShouldBe(0, error);
            File.ReadAllBytes(b).ShouldBe(File.ReadAllBytes(a));
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    /// <summary>Bytes that each thread of a pool has allocated in its life.</summary>
    private sealed class AllocatedBytes(WorkerPool pool) : IPoolWork
    {
        public long[] OfThread { get; } = new long[pool.Threads];

        public void Read() => pool.Run(this);

        void IPoolWork.Run(int thread)
        {
            OfThread[thread] = GC.GetAllocatedBytesForCurrentThread();
            pool.Barrier(thread);
        }
    }

    private static float[] Run(Graph graph, int threads, int chunk, Phase phase)
    {
        using var backend = new CpuBackend(threads);
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, Limits);
        using var runner = new SequenceRunner(backend, program.Signature.Kv, pagesPerGroup: 20, pageSeed: chunk);
        var all = new List<float>();
        for (int at = 0; at < Text.Length; at += chunk) all.AddRange(runner.Step<float>(program, "logits", [(0, Text[at..Math.Min(at + chunk, Text.Length)], at)], phase: phase));
        ((CpuProgram)program).AreGuardsIntact.ShouldBeTrue();
        return [.. all];
    }
}
