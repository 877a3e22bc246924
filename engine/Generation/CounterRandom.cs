namespace Tare.Generation;

/// <summary>Random numbers by (seed, counter), without a state: Philox 4×32, 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").</summary>
internal static class CounterRandom
{
    /// <summary>A uniform number in [0, 1) with 53 random bits; a counter has as many independent draws as are asked for.</summary>
    public static double Uniform(ulong seed, ulong counter, uint draw = 0)
    {
        uint a = (uint)counter, b = (uint)(counter >> 32), c = draw, d = 0, key0 = (uint)seed, key1 = (uint)(seed >> 32);
        for (int round = 0; round < 10; round++)
        {
            ulong p = (ulong)a * 0xD2511F53, q = (ulong)c * 0xCD9E8D57;
            (a, b, c, d) = ((uint)(q >> 32) ^ b ^ key0, (uint)q, (uint)(p >> 32) ^ d ^ key1, (uint)p);
            key0 += 0x9E3779B9;
            key1 += 0xBB67AE85;
        }
        return (((ulong)a << 32 | b) >> 11) * (1.0 / (1UL << 53));
    }
}
