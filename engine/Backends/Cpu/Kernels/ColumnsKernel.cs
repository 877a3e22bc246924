using System.Collections.Immutable;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Products y = W x + b of one value with several matrices, and column functions behind them: [rows, in] → [rows, out] each. Threads split the outputs. Rows go through in blocks whose activations stay in L2; with
/// functions behind, the products of two tiles (32 columns) go to scratch and on from there.
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
    private readonly int[] _widths;       // [values]
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
        _widths = [.. types.Select(t => t.Width)];
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
        _productBytes = (_weights.Max(w => Math.Max(TiledProduct.ScratchBytes(w, _rowsAtATime), IntegerProduct.ScratchBytes(_rowsAtATime))) + 63) / 64 * 64;
        context.ReserveScratch(_productBytes + floats * sizeof(float));
    }

    public override string Name { get; }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int rows = step.RowsOf(_rows);
        var (first, end) = Part(_units, thread, threads);
        for (int row = 0; row < rows; row += _rowsAtATime) Run(row, Math.Min(_rowsAtATime, rows - row), first, end, thread);
    }

    // Some rows, units [first, end).
    private void Run(int row, int rows, int first, int end, int thread)
    {
        byte* scratch = _context.Scratch(thread);
        float** x = (float**)scratch, y = x + rows;
        for (int r = 0; r < rows; r++) x[r] = _x + (long)(row + r) * _widths[0];
        if (_functions.Length > 0)
        {
            for (int pair = first; pair < end; pair++) Pair(row, rows, pair, x, y, (float*)(scratch + _productBytes));
            return;
        }
        for (int i = 0, start = 0; i < _weights.Length && start < end; start += _weights[i++].Tiles)
        {
            int firstTile = Math.Max(0, first - start), endTile = Math.Min(_weights[i].Tiles, end - start);
            if (firstTile >= endTile) continue;
            for (int r = 0; r < rows; r++) y[r] = _pointers[i + 1] + (long)(row + r) * _widths[i + 1];
            Multiply(i, firstTile, endTile, x, y, rows);
        }
    }

    private void Pair(int row, int rows, int pair, float** x, float** y, float* values)
    {
        int first = pair * Columns, count = Math.Min(Columns, _widths[1] - first);
        RowBlock* blocks = stackalloc RowBlock[_pointers.Length], inputs = stackalloc RowBlock[2];
        for (int v = 1; v < _pointers.Length; v++)
            blocks[v] = _scratch[v] >= 0 ? new RowBlock(values + _scratch[v] - first, Columns) : new RowBlock(_pointers[v] + (long)row * _widths[v], _widths[v]);
        for (int i = 0; i < _weights.Length; i++)
        {
            for (int r = 0; r < rows; r++) y[r] = blocks[i + 1][r];
            Multiply(i, first / Tile, (first + count + Tile - 1) / Tile, x, y, rows);
        }
        for (int f = 0; f < _functions.Length; f++)
        {
            for (int i = 0; i < _inputs[f].Length; i++) inputs[i] = blocks[_inputs[f][i]];
            _functions[f].Run(rows, first, count, inputs, blocks + 1 + _weights.Length + f);
        }
    }

    private void Multiply(int product, int firstTile, int endTile, float** x, float** y, int rows)
    {
        if (_bits > 0) IntegerProduct.Run(_weights[product], firstTile, endTile, x, y, rows, _biases[product], _bits == 16, y + rows);
        else TiledProduct.Run(_weights[product], 0, firstTile, endTile, x, y, rows, _biases[product], (float*)(y + rows));
    }
}
