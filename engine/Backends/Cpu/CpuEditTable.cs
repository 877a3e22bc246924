using Tare.Execution.Edits;

namespace Tare.Backends.Cpu;

/// <summary>An operation as the kernel takes it: F32, vectors in native memory that never moves.</summary>
internal sealed unsafe class CpuEdit(EditOperation operation, float* vector, float* direction)
{
    public EditKind Kind { get; } = operation.Kind;

    public ulong Rows { get; } = 1UL << operation.Selection;

    public ColumnRange[] Columns { get; } = [.. operation.Columns];

    public int Width { get; } = operation.Width;

    public float Strength { get; } = (float)operation.Strength;

    public float Minimum { get; } = (float)operation.Minimum;

    public float Maximum { get; } = (float)operation.Maximum;

    /// <summary>[positions; ascending] or null.</summary>
    public int[]? Positions { get; } = operation.Positions.IsEmpty ? null : [.. operation.Positions];

    /// <summary>[width] or [positions, width]; null = zero.</summary>
    public float* Vector => vector;

    /// <summary>[width].</summary>
    public float* Direction => direction;
}

/// <summary>The edit table: for each slot and site its operations.</summary>
internal sealed unsafe class CpuEditTable(EditTableLayout layout) : EditTable(layout), IDisposable
{
    private readonly CpuEdit[]?[] _operations = new CpuEdit[]?[layout.Slots * layout.Widths.Length];
    private readonly NativeBuffer<float>?[] _vectors = new NativeBuffer<float>?[layout.Slots];

    public override long Bytes => _vectors.Sum(v => v?.Bytes ?? 0);

    /// <summary>What a slot does at a site, in order; null = nothing.</summary>
    public CpuEdit[]? Operations(int slot, int site) => _operations[slot * Layout.Widths.Length + site];

    public void Dispose()
    {
        foreach (var vectors in _vectors) vectors?.Dispose();
    }

    protected override void Store(int slot, EditEntry? entry)
    {
        int sites = Layout.Widths.Length;
        Array.Clear(_operations, slot * sites, sites);
        _vectors[slot]?.Dispose();
        _vectors[slot] = null;
        if (entry is null) return;
        var vectors = _vectors[slot] = new NativeBuffer<float>(entry.Operations.Sum(o => (long)o.Vector.Length + o.Direction.Length));
        long next = 0;
        List<(int Site, CpuEdit Edit)> edits = [];
        foreach (var operation in entry.Operations)
        {
            float* vector = Copy(operation.Vector.AsSpan());
            edits.Add((operation.Site, new CpuEdit(operation, vector, operation.Direction.IsEmpty ? vector : Copy(operation.Direction.AsSpan()))));
        }
        foreach (var site in edits.GroupBy(e => e.Site)) _operations[slot * sites + site.Key] = [.. site.Select(e => e.Edit)];

        float* Copy(ReadOnlySpan<double> values)
        {
            if (values.IsEmpty) return null;
            float* start = vectors.Pointer + next;
            foreach (double value in values) vectors.Pointer[next++] = (float)value;
            return start;
        }
    }
}
