using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics.Integers;

namespace Tare.Tests.Arm64;

/// <summary>The bits of every operation of an instruction set's lanes, for 16 outputs, over edge values.</summary>
internal static unsafe class LaneDigest
{
    /// <summary>The instruction sets that this processor has, each with its digest.</summary>
    public static IEnumerable<(string Name, string Digest)> OfThisProcessor()
    {
        yield return (nameof(PortableLanes), Of<PortableLanes, Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>());
        if (AdvSimdLanes.IsSupported) yield return (nameof(AdvSimdLanes), Of<AdvSimdLanes, Vector128<byte>, Vector128<int>, Vector128<int>, Vector128<float>>());
        if (Avx2Lanes.IsSupported) yield return (nameof(Avx2Lanes), Of<Avx2Lanes, Vector256<byte>, Vector256<short>, Vector256<int>, Vector256<float>>());
        if (AvxVnniLanes.IsSupported) yield return (nameof(AvxVnniLanes), Of<AvxVnniLanes, Vector256<byte>, Vector256<int>, Vector256<int>, Vector256<float>>());
        if (Avx512Lanes.IsSupported) yield return (nameof(Avx512Lanes), Of<Avx512Lanes, Vector512<byte>, Vector512<short>, Vector512<int>, Vector512<float>>());
    }

    private static string Of<L, TCodes, TNarrow, TSums, TFloats>()
        where L : struct, IIntegerLanes<TCodes, TNarrow, TSums, TFloats>
        where TCodes : struct where TNarrow : struct where TSums : struct where TFloats : struct
    {
        var hash = new Digest();
        byte[] result = new byte[64];
        float[] factors = [1, -0f, 1.5f, float.Epsilon, -3e-39f, 1e30f];
        fixed (byte* to = result)
            for (int round = 0; round < 64; round++)
            {
                // Codes of 4 bytes an output; bytes, shorts and floats that reach the ends of their ranges.
                byte[] codes = [.. Enumerable.Range(0, 64).Select(i => (byte)(i * 37 + round * 101))], small = [.. codes.Select(c => (byte)(round % 3 == 0 ? 63 : c & 63))];
                sbyte[] bytes = [.. codes.Select(c => (sbyte)(round % 4 == 0 ? -128 : c))];
                short[] shorts = [.. Enumerable.Range(0, 32).Select(i => (short)(round % 5 == 0 ? short.MinValue + 1 : i * 7919 + round * 2671))];
                ushort[] halfs = [.. Enumerable.Range(0, 16).Select(i => (ushort)((i * 4099 + round * 1021) & 0xFBFF))];
                float[] floats = [.. Enumerable.Range(0, 16).Select(i => factors[(i + round) % factors.Length] * (i - 7))];
                int pair = (round * 3) | (round * 5) << 16;
                fixed (byte* c = codes, s = small)
                fixed (sbyte* b = bytes)
                fixed (short* h = shorts)
                fixed (ushort* f16 = halfs)
                fixed (float* f = floats)
                {
                    for (int op = 0; op < 20; op++)
                    {
                        for (int lane = 0; lane < 16; lane += L.Count)
                        {
                            TCodes all = L.Load(c + 4 * lane), few = L.Load(s + 4 * lane);
                            // Four products in each I16 of a lane stay in its range.
                            TNarrow narrow = L.MultiplyBytes(L.MultiplyBytes(L.Start(&pair, 1), few, b), few, b + 4);
                            TSums scales = L.LoadScales(b + lane), wide = L.MultiplyShorts(L.MultiplyShorts(default, L.Even(all), h), L.Odd(all), h + 2);
                            TFloats x = L.Load(f + lane);
                            byte* codesTo = to + 4 * lane;
                            int* sumsTo = (int*)to + lane;
                            float* floatsTo = (float*)to + lane;
                            switch (op)
                            {
                                case 0: L.Store(L.Low(all), codesTo); break;
                                case 1: L.Store(L.High(all), codesTo); break;
                                case 2: L.Store(L.LookUp(L.Table(b), L.Low(all)), codesTo); break;
                                case 3: L.Store(L.Even(all), codesTo); break;
                                case 4: L.Store(L.Odd(all), codesTo); break;
                                case 5: L.Store(L.AddBytes(all, -round), codesTo); break;
                                case 6: L.Store(L.ToSingle(narrow), floatsTo); break;
                                case 7: L.Store(L.ToSingle(L.Add(narrow, L.Start(&pair, 0))), floatsTo); break;
                                case 8: L.Store(L.Scale(narrow, scales), sumsTo); break;
                                case 9: L.Store(wide, sumsTo); break;
                                case 10: L.Store(L.MultiplyShorts(wide, all, h + 4), sumsTo); break;
                                case 11: L.Store(L.ToSingle(L.Add(wide, wide)), floatsTo); break;
                                case 12: L.Store(L.LoadHalfs(f16 + lane), floatsTo); break;
                                case 13: L.Store(L.LoadBytes(b + lane), floatsTo); break;
                                case 14: L.Store(L.LoadPowers((round < 4 ? s : c) + lane), floatsTo); break;
                                case 15: L.Store(L.Multiply(x, L.All(1.1f)), floatsTo); break;
                                case 16: L.Store(L.Multiply(x, f + 3), floatsTo); break;
                                case 17: L.Store(L.MultiplyAdd(x, L.LoadHalfs(f16 + lane), x), floatsTo); break;
                                case 18: L.Store(L.MultiplyAdd(x, f + 5, L.All(0.1f)), floatsTo); break;
                                default: L.Store(L.Multiply(x, 0.3f), floatsTo); break;
                            }
                        }
                        hash.Add(result);
                    }
                }
            }
        return hash.ToString();
    }
}
