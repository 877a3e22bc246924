using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Backends.Cpu.Weights;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>x [rows, width] → rows of integers (<see cref="QuantizedRow"/>), a scale for each 32: s = max |x| / m, code = round to even of x · (m / max |x|), m = 127 or 32767.</summary>
internal sealed unsafe class QuantizeRowsFunction(int largestCode, int width) : ColumnFunction(width)
{
    public override void Run(int count, int first, int columns, RowBlock* x, RowBlock* y)
    {
        for (int r = 0; r < count; r++)
        {
            var row = new QuantizedRow((byte*)y[0][r], Width, largestCode > sbyte.MaxValue);
            for (int block = first / Block; block < (first + columns) / Block; block++) Quantize(x[0][r] + block * Block, row, block);
        }
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private void Quantize(float* x, QuantizedRow row, int block)
    {
        Vector512<float> a = Vector512.Load(x), b = Vector512.Load(x + 16);
        float largest = Lanes.Max(Vector512.Max(Vector512.Abs(a), Vector512.Abs(b)));
        var inverse = Vector512.Create(largest > 0 ? largestCode / largest : 0);
        Vector512<int> lower = Vector512.ConvertToInt32Native(Vector512.Round(a * inverse)), upper = Vector512.ConvertToInt32Native(Vector512.Round(b * inverse));
        float scale = largest / largestCode;
        row.Scales[block] = scale;
        row.Sums[block] = scale * Vector512.Sum(lower + upper);
        if (largestCode == sbyte.MaxValue)
        {
            var words = Vector512.Narrow(lower, upper);
            Vector256.Narrow(words.GetLower(), words.GetUpper()).Store(row.Codes + block * Block);
            int* halves = row.HalfStarts + 2 * block;
            Vector128<int> first = OfFours(lower), second = OfFours(upper);
            halves[0] = Start(first);
            halves[1] = Start(second);
            row.Starts[block] = Start(first + second);
        }
        else
        {
            var order = Vector512.Create(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
            Vector512.Narrow(Vector512.Shuffle(lower, order), Vector512.Shuffle(upper, order)).Store(row.WideCodes + block * Block);
        }
    }

    // Sums over numbers 0, over numbers 1, … of each four.
    private static Vector128<int> OfFours(Vector512<int> codes)
    {
        var halves = codes.GetLower() + codes.GetUpper();
        return halves.GetLower() + halves.GetUpper();
    }

    private static int Start(Vector128<int> sums) => (-8 * (sums[0] + sums[1]) & 0xFFFF) | -8 * (sums[2] + sums[3]) << 16;
}
