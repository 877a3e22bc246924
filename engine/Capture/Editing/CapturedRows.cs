using Tare.Capture.Jobs;
using Tare.Formats;
using Tare.Formats.Safetensors;

namespace Tare.Capture.Editing;

/// <summary>Rows of one sequence of a raw capture, position by position.</summary>
/// <param name="Path">The folder of a capture of rows, or one of its chunks.</param>
/// <param name="Sequence">Number of the sequence in the capture.</param>
/// <param name="Shift">Added to the captured positions: the row of position p patches position p + shift.</param>
public sealed record CapturedRows(string Path, long Sequence = 0, int Shift = 0) : EditVectors
{
    internal override EditAction? OnlyFor => EditAction.Patch;

    internal override IReadOnlyList<SiteVectors> Of(Site site)
    {
        var rows = new SortedDictionary<int, double[]>();
        var sequences = new SortedSet<long>();
        foreach (string file in Files()) Read(file, site, rows, sequences);
        if (rows.Count == 0) throw new EditException($"{Path} has no rows of sequence {Sequence} that patch a position (sequences: {string.Join(", ", sequences.Take(8))}{(sequences.Count > 8 ? ", …" : "")}; shift {Shift})");
        return [new SiteVectors([.. rows.Values.SelectMany(r => r)], rows.Count) { Positions = [.. rows.Keys] }];
    }

    private IEnumerable<string> Files()
    {
        if (!Directory.Exists(Path)) return [Path];
        var manifest = CaptureManifest.Find(Path) ?? throw new ModelFileException(Path, $"holds no capture (no {CaptureManifest.FileName})");
        if (manifest.Identity.Kind != "rows") throw new ModelFileException(Path, $"holds a capture of {manifest.Identity.Kind}, not of rows (tare capture --raw)");
        return manifest.Chunks.Select(c => System.IO.Path.Combine(Path, c.File));
    }

    private void Read(string path, Site site, SortedDictionary<int, double[]> rows, SortedSet<long> sequences)
    {
        using var file = ModelFile.Open(path);
        if (!path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) || !file.TryGetTensor("sequence", out var labels) || !file.TryGetTensor("position", out var positions))
            throw new ModelFileException(path, "is no chunk of captured rows (no tensors 'sequence' and 'position'; tare capture --raw)");
        if (!file.TryGetTensor(site.Name, out var values)) throw new ModelFileException(path, $"holds no rows of {site.Name}");
        string coordinates = ((CheckpointFolder)file).FileMetadata.GetValueOrDefault("tare.coordinates") ?? "raw";
        if (coordinates != "raw") throw new ModelFileException(path, $"holds rows in {coordinates} coordinates; edits take those of the model file (raw)");
        if (values.Shape.Length != 2 || values.RowCount != labels.ElementCount || values.RowCount != positions.ElementCount || !values.CanDecode) throw new ModelFileException(path, $"tensor '{site.Name}' [{string.Join(", ", values.Shape)}] does not fit its labels");
        double[] sequence = Column(labels), position = Column(positions);
        for (int r = 0; r < sequence.Length; r++)
        {
            sequences.Add((long)sequence[r]);
            if ((long)sequence[r] != Sequence || (long)position[r] + Shift is < 0 or > int.MaxValue) continue;
            var row = new double[values.Width];
            values.ReadRows(r, 1, row);
            if (!rows.TryAdd((int)position[r] + Shift, row)) throw new ModelFileException(path, $"sequence {Sequence} has position {position[r]} twice");
        }
    }

    private static double[] Column(MappedTensor tensor)
    {
        var values = new double[tensor.ElementCount];
        tensor.ReadRows(0, (int)tensor.RowCount, values);
        return values;
    }
}
