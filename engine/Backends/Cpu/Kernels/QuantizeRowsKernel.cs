using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Backends.Cpu.Weights;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>x [rows, width] → rows of integers (<see cref="QuantizedRow"/>), a scale for each 32: s = max |x| / m, code = round to even of x · (m / max |x|), m = 127 or 32767.</summary>
internal sealed unsafe class QuantizeRowsKernel(KernelContext context, int largestCode, Node node, Value value) : CpuKernel
{
    private readonly float* _x = context.Input(node, 0), _y = context.Pointer(value);
    private readonly ValueInfo _type = context.TypeOf(value);

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int blocks = _type.Width / 32;
        bool wide = largestCode > sbyte.MaxValue;
        var (first, end) = Part(checked(step.RowsOf(_type.Rows) * blocks), thread, threads);
        for (int i = first; i < end; i++)
        {
            long row = i / blocks;
            Quantize(_x + row * _type.Width, new QuantizedRow((byte*)_y + row * QuantizedRow.Stride(_type.Width, wide), _type.Width, wide), i % blocks);
        }
    }

    private void Quantize(float* x, QuantizedRow row, int block)
    {
        x += block * 32;
        Vector512<float> a = Vector512.Load(x), b = Vector512.Load(x + 16);
        float largest = Lanes.Max(Vector512.Max(Vector512.Abs(a), Vector512.Abs(b)));
        var inverse = Vector512.Create(largest > 0 ? largestCode / largest : 0);
        Vector512<int> lower = Vector512.ConvertToInt32Native(Vector512.Round(a * inverse)), upper = Vector512.ConvertToInt32Native(Vector512.Round(b * inverse));
        int* codes = stackalloc int[32];
        lower.Store(codes);
        upper.Store(codes + 16);
        sbyte* narrow = row.Codes + block * 32;
        short* wide = row.WideCodes + block * 32;
        for (int i = 0; i < 32; i += 4)
        {
            if (largestCode == sbyte.MaxValue)
                for (int k = 0; k < 4; k++) narrow[i + k] = (sbyte)codes[i + k];
            else (wide[i], wide[i + 1], wide[i + 2], wide[i + 3]) = ((short)codes[i], (short)codes[i + 2], (short)codes[i + 1], (short)codes[i + 3]);
        }
        float scale = largest / largestCode;
        row.Scales[block] = scale;
        row.Sums[block] = scale * Vector512.Sum(lower + upper);
    }
}
