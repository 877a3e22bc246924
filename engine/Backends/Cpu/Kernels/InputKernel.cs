using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Copies what the step brings into its buffer: ids or positions I32 [rows, 1], or the residual stream [rows, width].</summary>
internal sealed unsafe class InputKernel(KernelContext context, Input op, Value value) : CpuKernel
{
    private readonly float* _y = context.Pointer(value);

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        if (thread != 0) return;
        long bytes = (long)step.Rows * op.Width * sizeof(float);
        void* source = op.Kind switch
        {
            InputKind.Tokens => step.Tokens,
            InputKind.Positions => step.Positions,
            _ => step.Residual,
        };
        Buffer.MemoryCopy(source, _y, bytes, bytes);
    }
}
