using System.Collections.Immutable;
using Tare.Backends.Cpu.Weights;
using Tare.Backends.Cpu.Weights.Grouped;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Products y = W x + b of one value with several matrices, and column functions behind them: [rows, in] → [rows, out] each. Threads split the outputs. Rows go through in blocks whose activations stay in L2; with
/// functions behind, the products of some columns go to scratch and on from there.
/// </summary>
internal sealed unsafe class ColumnsKernel : CpuKernel
{
    /// <summary>Rows that are multiplied at a time.</summary>
    public const int RowsAtATime = 128;

    private const int Tile = PackedMatrix.TileRows, Columns = ColumnFunction.Block;

    private readonly KernelContext _context;
    private readonly PackedMatrix[] _weights;
    private readonly float*[] _biases;    // [products], null = none
    private readonly int _bits;           // of integer activations; 0 = F32
    private readonly float* _x;           // [rows, in]
    private readonly ColumnFunction[] _functions;
    private readonly int[][] _inputs;     // [functions]: numbers of values
    private readonly float*[] _pointers;  // [values], [rows, out] each; null = in scratch
    private readonly int[] _strides;      // [values]: elements from row to row
    private readonly int _width;          // columns of all values behind a product that functions follow
    private readonly long[] _scratch;     // [values]: offset in floats, −1 = none
    private readonly long _productBytes;  // of scratch, before the values
    private readonly int _rowsAtATime, _units; // units of work: tiles of all matrices in turn, or pairs of tiles of each where functions follow
    private readonly RowAxis _rows;

    public ColumnsKernel(KernelContext context, Node node, int index, FusedColumns op, Func<Op, ImmutableArray<ValueInfo>, ColumnFunction> bind)
    {
        _context = context;
        Name = node.Op.Name;
        _x = context.Input(node, 0);
        _rows = node.Outputs[0].Rows;
        _bits = (context.Graph.OpOf(node.Inputs[0]) as QuantizeRows)?.Bits ?? 0;
        var types = op.TypesOf([.. node.Inputs.Select(context.TypeOf)]);
        Linear[] products = [.. op.Parts.Take(op.Products).Select(p => (Linear)p.Op)];
        _weights = [.. products.Select(p => context.Weights.Matrix(p.Weight, 1))];
        _biases = new float*[products.Length];
        for (int i = 0; i < products.Length; i++)
        {
            _biases[i] = products[i].Bias is { } bias ? context.Weights.Values(bias).Pointer : null;
            if (_bits > 0 && !(_bits == 8 ? _weights[i].TakesBytes : _weights[i].TakesIntegers)) throw new UnsupportedOpException($"Linear: {products[i].Weight} of type {products[i].Weight.Type} takes no activations of {_bits} bits (CPU)");
        }
        _functions = [.. op.Parts.Skip(products.Length).Select(p => bind(p.Op, [.. p.Inputs.Select(v => types[v])]))];
        _inputs = [.. op.Parts.Skip(products.Length).Select(p => p.Inputs.ToArray())];
        _width = types[1].Width;
        _strides = [KernelContext.Stride(context.Graph.OpOf(node.Inputs[0]), types[0]), .. op.Parts.Select((p, i) => KernelContext.Stride(p.Op, types[1 + i]))];
        (_pointers, _scratch) = (new float*[types.Length], new long[types.Length]);
        for (int i = 0; i < op.Results.Length; i++) _pointers[op.Results[i]] = context.Pointer(new Value(index, i));
        _units = _functions.Length == 0 ? _weights.Sum(w => w.Tiles) : (_weights[0].Tiles + 1) / 2;
        _rowsAtATime = Math.Min(RowsAtATime, context.MaxRows(_rows));
        long floats = 0;
        for (int v = 1; v < types.Length; v++)
        {
            _scratch[v] = op.Results.Contains(v) ? -1 : floats;
            if (_scratch[v] >= 0) floats += (long)_rowsAtATime * Columns;
        }
        _productBytes = (_weights.Max(w => Math.Max(TiledProduct.ScratchBytes(w, _rowsAtATime), IntegerProduct.ScratchBytes(w, _rowsAtATime))) + 63) / 64 * 64;
        context.ReserveScratch(_productBytes + floats * sizeof(float));
    }

    public override string Name { get; }

    public override RowAxis? RowLocal => _rows;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(_units, thread, threads);
        Run(0, step.RowsOf(_rows), first, end, thread);
    }

    public override void RunRows(CpuStep step, int first, int end, int thread) => Run(first, end, 0, _units, thread);

    // Rows [first, end), units of work [firstUnit, endUnit).
    private void Run(int first, int end, int firstUnit, int endUnit, int thread)
    {
        byte* scratch = _context.Scratch(thread);
        for (int row = first; row < end; row += _rowsAtATime)
        {
            int rows = Math.Min(_rowsAtATime, end - row);
            if (_functions.Length == 0) Matrices(row, rows, firstUnit, endUnit, scratch);
            else
                // The fewer the rows, the more columns fit into scratch: then each matrix is read in longer runs.
                for (int unit = firstUnit, most = _rowsAtATime / rows; unit < endUnit; unit += most)
                    Chunk(row, rows, unit * Columns, Math.Min(Math.Min(unit + most, endUnit) * Columns, _width), scratch);
        }
    }

    // Tiles [first, end) of all matrices in turn.
    private void Matrices(int row, int rows, int first, int end, byte* scratch)
    {
        for (int i = 0, start = 0; i < _weights.Length && start < end; start += _weights[i++].Tiles)
        {
            int firstTile = Math.Max(0, first - start), endTile = Math.Min(_weights[i].Tiles, end - start);
            if (firstTile < endTile) Multiply(i, firstTile, endTile, row, rows, new RowBlock(_pointers[i + 1] + (long)row * _strides[i + 1], _strides[i + 1]), scratch);
        }
    }

    // Columns [first, end) of all matrices, then of the functions.
    private void Chunk(int row, int rows, int first, int end, byte* scratch)
    {
        float* values = (float*)(scratch + _productBytes);
        int columns = end - first, stride = (columns + Columns - 1) / Columns * Columns;
        RowBlock* blocks = stackalloc RowBlock[_pointers.Length], inputs = stackalloc RowBlock[2];
        for (int v = 1; v < _pointers.Length; v++)
            blocks[v] = _scratch[v] >= 0 ? new RowBlock(values + _scratch[v] - first, stride) : new RowBlock(_pointers[v] + (long)row * _strides[v], _strides[v]);
        for (int i = 0; i < _weights.Length; i++) Multiply(i, first / Tile, (end + Tile - 1) / Tile, row, rows, blocks[i + 1], scratch);
        for (int f = 0; f < _functions.Length; f++)
        {
            for (int i = 0; i < _inputs[f].Length; i++) inputs[i] = blocks[_inputs[f][i]];
            _functions[f].Run(rows, first, columns, inputs, blocks + 1 + _weights.Length + f);
        }
    }

    // Tiles [firstTile, endTile) of a matrix; y begins with column 0 of the first of the rows.
    private void Multiply(int product, int firstTile, int endTile, int row, int rows, RowBlock y, byte* scratch)
    {
        if (_bits > 0)
        {
            var integers = new IntegerRows((byte*)(_x + (long)row * _strides[0]), _strides[0] * sizeof(float), _weights[product].Width, _bits == 16);
            IntegerProduct.Run(_weights[product], firstTile, endTile, integers, rows, y.First, y.Stride, _biases[product], (float*)scratch);
            return;
        }
        float** x = (float**)scratch, targets = x + rows;
        for (int r = 0; r < rows; r++)
        {
            x[r] = _x + (long)(row + r) * _strides[0];
            targets[r] = y[r];
        }
        TiledProduct.Run(_weights[product], 0, firstTile, endTile, x, targets, rows, _biases[product], (float*)(targets + rows));
    }
}
