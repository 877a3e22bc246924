using BenchmarkDotNet.Running;
using Tare.Bench;
using Tare.Bench.Peers;

// Kernels by BenchmarkDotNet (dotnet run -c Release --project bench -- --filter '*Products*'), the throughput of a tokenizer (… -- tokenize MODEL [TEXT-FILE]), of loading (… -- load MODEL [THREADS [REPETITIONS]]), Tare against
// llama.cpp (… -- compare -m MODEL, … -- control-vector -m MODEL), ratios against recorded ones (bench/check), or the figures and
// the picture of docs/performance.md (… -- performance -m MODEL).
switch (args)
{
    case ["tokenize", ..]: return TokenizerThroughput.Run(args[1..]);
    case ["load", ..]: return LoadTime.Run(args[1..]);
    case ["peer", ..] or ["compare", ..] or ["control-vector", ..] or ["check", ..] or ["performance", ..]: return OwnCommands.Run(args);
}
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run([.. args, "--inProcess"]); // no generated project, which central package versions would refuse
return 0;
