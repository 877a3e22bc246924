using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// Products with integer activations. Of each 32 values of k the sum of code products is exact in I32; then y = fma(scale · activation scale, sum, y), and y = fma(minimum, activation scale · activation sum, y).
// A row's arithmetic does not depend on the rows beside it.
internal sealed unsafe partial class GroupedTiles<T>
{
    public override bool TakesIntegers => true;

    public override bool TakesBytes => T.NibbleCenter >= 0;

    public override void MultiplyIntegers(int tile, float** x, float** y, int rows, bool wide)
    {
        byte* blocks = Tile(0, tile);
        int r = 0;
        if (!wide)
        {
            for (; r + 4 <= rows; r += 4) FourNibbles(blocks, x + r, y + r);
            for (; r < rows; r++) OneNibble(blocks, x[r], y[r]);
            return;
        }
        for (; r + 4 <= rows; r += 4) FourBytes(blocks, x + r, y + r);
        for (; r < rows; r++) OneByte(blocks, x[r], y[r]);
    }

    private void OneNibble(byte* block, float* x, float* y)
    {
        var row = new QuantizedRow(x, Width);
        sbyte* codes = row.Codes;
        float* scales = row.Scales, sums = row.Sums;
        var sum = Vector512.Load(y);
        int steps = Width / Step;
        for (int s = 0; s < steps; s++, block += StepBytes, codes += Step)
        {
            var products = Vector512<short>.Zero;
            for (int j = 0; j < 4; j++)
            {
                var both = Vector512.Load(block + j * 64);
                products += IntegerSteps.MultiplyBytes(both & Vector512.Create((byte)15), Broadcast(codes + 4 * j));
                products += IntegerSteps.MultiplyBytes((both.AsUInt16() >>> 4).AsByte() & Vector512.Create((byte)15), Broadcast(codes + 16 + 4 * j));
            }
            sum = Finish(products, Scale(block, 0), Minimum(block, 0), scales[s], sums[s], sum);
        }
        sum.Store(y);
    }

    private void FourNibbles(byte* block, float** x, float** y)
    {
        QuantizedRow r0 = new(x[0], Width), r1 = new(x[1], Width), r2 = new(x[2], Width), r3 = new(x[3], Width);
        sbyte* c0 = r0.Codes, c1 = r1.Codes, c2 = r2.Codes, c3 = r3.Codes;
        float* s0 = r0.Scales, s1 = r1.Scales, s2 = r2.Scales, s3 = r3.Scales;
        int steps = Width / Step;
        Vector512<float> y0 = Vector512.Load(y[0]), y1 = Vector512.Load(y[1]), y2 = Vector512.Load(y[2]), y3 = Vector512.Load(y[3]);
        for (int s = 0; s < steps; s++, block += StepBytes, c0 += Step, c1 += Step, c2 += Step, c3 += Step)
        {
            Vector512<short> p0 = default, p1 = default, p2 = default, p3 = default;
            for (int j = 0; j < 4; j++)
            {
                var both = Vector512.Load(block + j * 64);
                Vector512<byte> low = both & Vector512.Create((byte)15), high = (both.AsUInt16() >>> 4).AsByte() & Vector512.Create((byte)15);
                p0 += IntegerSteps.MultiplyBytes(low, Broadcast(c0 + 4 * j)) + IntegerSteps.MultiplyBytes(high, Broadcast(c0 + 16 + 4 * j));
                p1 += IntegerSteps.MultiplyBytes(low, Broadcast(c1 + 4 * j)) + IntegerSteps.MultiplyBytes(high, Broadcast(c1 + 16 + 4 * j));
                p2 += IntegerSteps.MultiplyBytes(low, Broadcast(c2 + 4 * j)) + IntegerSteps.MultiplyBytes(high, Broadcast(c2 + 16 + 4 * j));
                p3 += IntegerSteps.MultiplyBytes(low, Broadcast(c3 + 4 * j)) + IntegerSteps.MultiplyBytes(high, Broadcast(c3 + 16 + 4 * j));
            }
            Vector512<float> scale = Scale(block, 0), minimum = Minimum(block, 0);
            y0 = Finish(p0, scale, minimum, s0[s], s0[steps + s], y0);
            y1 = Finish(p1, scale, minimum, s1[s], s1[steps + s], y1);
            y2 = Finish(p2, scale, minimum, s2[s], s2[steps + s], y2);
            y3 = Finish(p3, scale, minimum, s3[s], s3[steps + s], y3);
        }
        y0.Store(y[0]);
        y1.Store(y[1]);
        y2.Store(y[2]);
        y3.Store(y[3]);
    }

    private void OneByte(byte* block, float* x, float* y)
    {
        var table = SignedTable();
        var row = new QuantizedRow(x, Width);
        short* codes = row.WideCodes;
        float* scales = row.Scales, sums = row.Sums;
        var sum = Vector512.Load(y);
        int steps = Width / Step;
        for (int s = 0; s < steps; s++, block += StepBytes, codes += Step)
        {
            for (int part = 0; part < 2; part++)
            {
                var products = Vector512<int>.Zero;
                for (int j = 0; j < 4; j++)
                {
                    var (even, odd) = SignedCodes(block, part, j, table);
                    short* v = codes + 16 * part + 4 * j;
                    products += IntegerSteps.MultiplyShorts(even, Broadcast(v)) + IntegerSteps.MultiplyShorts(odd, Broadcast(v + 2));
                }
                sum = Vector512.FusedMultiplyAdd(Scale(block, part) * Vector512.Create(scales[s]), Vector512.ConvertToSingle(products), sum);
            }
            if (T.HasMinimum) sum = Vector512.FusedMultiplyAdd(Minimum(block, 0), Vector512.Create(sums[s]), sum);
        }
        sum.Store(y);
    }

    private void FourBytes(byte* block, float** x, float** y)
    {
        var table = SignedTable(); // before the sums are loaded: the call would spill them
        QuantizedRow r0 = new(x[0], Width), r1 = new(x[1], Width), r2 = new(x[2], Width), r3 = new(x[3], Width);
        short* c0 = r0.WideCodes, c1 = r1.WideCodes, c2 = r2.WideCodes, c3 = r3.WideCodes;
        float* s0 = r0.Scales, s1 = r1.Scales, s2 = r2.Scales, s3 = r3.Scales;
        int steps = Width / Step;
        Vector512<float> y0 = Vector512.Load(y[0]), y1 = Vector512.Load(y[1]), y2 = Vector512.Load(y[2]), y3 = Vector512.Load(y[3]);
        for (int s = 0; s < steps; s++, block += StepBytes)
        {
            for (int part = 0; part < 2; part++, c0 += 16, c1 += 16, c2 += 16, c3 += 16)
            {
                Vector512<int> p0 = default, p1 = default, p2 = default, p3 = default;
                for (int j = 0; j < 4; j++)
                {
                    var (even, odd) = SignedCodes(block, part, j, table);
                    p0 += IntegerSteps.MultiplyShorts(even, Broadcast(c0 + 4 * j)) + IntegerSteps.MultiplyShorts(odd, Broadcast(c0 + 4 * j + 2));
                    p1 += IntegerSteps.MultiplyShorts(even, Broadcast(c1 + 4 * j)) + IntegerSteps.MultiplyShorts(odd, Broadcast(c1 + 4 * j + 2));
                    p2 += IntegerSteps.MultiplyShorts(even, Broadcast(c2 + 4 * j)) + IntegerSteps.MultiplyShorts(odd, Broadcast(c2 + 4 * j + 2));
                    p3 += IntegerSteps.MultiplyShorts(even, Broadcast(c3 + 4 * j)) + IntegerSteps.MultiplyShorts(odd, Broadcast(c3 + 4 * j + 2));
                }
                var scale = Scale(block, part);
                y0 = Vector512.FusedMultiplyAdd(scale * Vector512.Create(s0[s]), Vector512.ConvertToSingle(p0), y0);
                y1 = Vector512.FusedMultiplyAdd(scale * Vector512.Create(s1[s]), Vector512.ConvertToSingle(p1), y1);
                y2 = Vector512.FusedMultiplyAdd(scale * Vector512.Create(s2[s]), Vector512.ConvertToSingle(p2), y2);
                y3 = Vector512.FusedMultiplyAdd(scale * Vector512.Create(s3[s]), Vector512.ConvertToSingle(p3), y3);
            }
            if (!T.HasMinimum) continue;
            var minimum = Minimum(block, 0);
            y0 = Vector512.FusedMultiplyAdd(minimum, Vector512.Create(s0[steps + s]), y0);
            y1 = Vector512.FusedMultiplyAdd(minimum, Vector512.Create(s1[steps + s]), y1);
            y2 = Vector512.FusedMultiplyAdd(minimum, Vector512.Create(s2[steps + s]), y2);
            y3 = Vector512.FusedMultiplyAdd(minimum, Vector512.Create(s3[steps + s]), y3);
        }
        y0.Store(y[0]);
        y1.Store(y[1]);
        y2.Store(y[2]);
        y3.Store(y[3]);
    }

    // The table of a nibble type as signed bytes, four times.
    private static Vector512<sbyte> SignedTable()
    {
        if (!T.IsNibble) return default;
        sbyte* values = stackalloc sbyte[64];
        for (int i = 0; i < 64; i++) values[i] = (sbyte)T.Table[i % 16];
        return Vector512.Load(values);
    }

    // Values 0 and 2, and values 1 and 3, of each four, as I16.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<short> Even, Vector512<short> Odd) SignedCodes(byte* block, int part, int j, Vector512<sbyte> table)
    {
        var codes = T.IsNibble
            ? IntegerSteps.LookUp(table, (part == 0 ? Vector512.Load(block + j * 64) : (Vector512.Load((ushort*)(block + j * 64)) >>> 4).AsByte()) & Vector512.Create((byte)15)).AsInt16()
            : Vector512.Load((short*)(block + (4 * part + j) * 64));
        return (codes << 8 >> 8, codes >> 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Finish(Vector512<short> products, Vector512<float> scale, Vector512<float> minimum, float activationScale, float activationSum, Vector512<float> sum)
    {
        var integers = IntegerSteps.MultiplyShorts(products, Vector512<short>.One);
        sum = Vector512.FusedMultiplyAdd(scale * Vector512.Create(activationScale), Vector512.ConvertToSingle(integers), sum);
        if (T.HasMinimum) return Vector512.FusedMultiplyAdd(minimum, Vector512.Create(activationSum), sum);
        return T.NibbleCenter <= 0 ? sum : Vector512.FusedMultiplyAdd(scale, Vector512.Create(-T.NibbleCenter * activationSum), sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<sbyte> Broadcast(sbyte* four) => Vector512.Create(*(int*)four).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Broadcast(short* two) => Vector512.Create(*(int*)two).AsInt16();
}
