using BenchmarkDotNet.Running;
using Tare.Bench;

// Kernels by BenchmarkDotNet (dotnet run -c Release --project bench -- --filter '*Products*'), the throughput of a tokenizer (… -- tokenize MODEL [TEXT-FILE]), or of loading (… -- load MODEL [THREADS [REPETITIONS]]).
if (args is ["tokenize", ..]) return TokenizerThroughput.Run(args[1..]);
if (args is ["load", ..]) return LoadTime.Run(args[1..]);
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run([.. args, "--inProcess"]); // no generated project, which central package versions would refuse
return 0;
