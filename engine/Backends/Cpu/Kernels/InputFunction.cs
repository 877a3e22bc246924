using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Copies what the step brings into its buffer: ids or positions I32 [rows, 1], or the residual stream [rows, width].</summary>
internal sealed unsafe class InputFunction(Input op) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        long bytes = (long)op.Width * sizeof(float);
        float* source = op.Kind switch
        {
            InputKind.Tokens => (float*)step.Tokens,
            InputKind.Positions => (float*)step.Positions,
            _ => step.Residual,
        };
        for (int r = 0; r < count; r++) Buffer.MemoryCopy(source + (long)(row + r) * op.Width, y[0][r], bytes, bytes);
    }
}
