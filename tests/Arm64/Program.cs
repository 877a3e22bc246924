using Tare.Tests.Arm64;

foreach (var (name, digest) in Digests.All()) Console.WriteLine($"{name}\t{digest}");
