using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using Tare.Capture.Statistics;
using Tare.Formats;

namespace Tare.Capture.Jobs;

/// <summary>Captures for other programs: NumPy's npz and CSV.</summary>
public static class Export
{
    /// <summary>Every tensor of a .safetensors file as an array of an .npz; BF16 becomes F32, which holds it exactly.</summary>
    public static void ToNpz(string path, string output)
    {
        using var file = ModelFile.Open(path);
        AtomicFile.Write(output, stream =>
        {
            using var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
            foreach (var tensor in file.Tensors)
            {
                using var entry = zip.CreateEntry($"{tensor.Name.Replace('/', '.')}.npy", CompressionLevel.Fastest).Open();
                WriteArray(entry, tensor);
            }
        });
    }

    /// <summary>Statistics or rows as CSV, whole or not at all.</summary>
    public static void ToCsv(string path, string output) => AtomicFile.Write(output, stream =>
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true);
        if (StatisticsFile.IsOne(path)) ToCsv(StatisticsFile.Read(path).Sites, writer);
        else RowsToCsv(path, writer);
    });

    /// <summary>Statistics as CSV: a line for each site, group and fact (or head).</summary>
    public static void ToCsv(IReadOnlyList<SiteStatistics> sites, TextWriter writer)
    {
        writer.WriteLine("site,group,fact,count,mean,deviation,skewness,excess_kurtosis,min,max");
        foreach (var site in sites)
            for (int g = 0; g < RowGroup.Count; g++)
                for (int c = 0; c < site.Columns[g].Columns; c++)
                {
                    var m = site.Columns[g][c];
                    if (m.Count == 0 || (!site.Site.IsHeads && !site.Site.HasPartner && RowFacts.NeedsPartner((RowFact)c))) continue;
                    writer.WriteLine(string.Join(',', site.Site.Name, RowGroup.Names[g], site.Site.IsHeads ? $"head {c}" : RowFacts.Names[c], Number(m.Count), Number(m.Mean), Number(m.Deviation), Number(m.Skewness), Number(m.ExcessKurtosis), Number(m.Min), Number(m.Max)));
                }
    }

    /// <summary>Captured rows as CSV: labels, then the elements of one site a line.</summary>
    public static void RowsToCsv(string path, TextWriter writer)
    {
        using var file = ModelFile.Open(path);
        string[] labels = [.. new[] { "row", "sequence", "position", "token_id", "phase" }.Where(l => file.TryGetTensor(l, out _))];
        if (labels.Length < 5) throw new ModelFileException(path, "holds neither statistics nor captured rows");
        var columns = labels.Select(l => Values(file, l)).ToList();
        writer.WriteLine($"site,{string.Join(',', labels)},values");
        foreach (var tensor in file.Tensors.Where(t => !labels.Contains(t.Name)))
        {
            var values = new float[tensor.Width];
            for (int r = 0; r < tensor.RowCount; r++)
            {
                tensor.ReadRows(r, 1, values);
                writer.Write($"{tensor.Name},{string.Join(',', columns.Select(c => c[r].ToString(CultureInfo.InvariantCulture)))}");
                foreach (float v in values) writer.Write(string.Create(CultureInfo.InvariantCulture, $",{v:R}"));
                writer.WriteLine();
            }
        }
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static double[] Values(ModelFile file, string name)
    {
        file.TryGetTensor(name, out var tensor);
        var values = new double[tensor!.ElementCount];
        tensor.ReadRows(0, (int)tensor.RowCount, values);
        return values;
    }

    // NumPy format version 1.0: magic, header length, a Python dictionary padded to 64 bytes, the data.
    private static void WriteArray(Stream stream, MappedTensor tensor)
    {
        string? kind = tensor.Type switch { TensorType.F64 => "<f8", TensorType.F32 or TensorType.BF16 => "<f4", TensorType.F16 => "<f2", TensorType.I64 => "<i8", TensorType.I32 => "<i4", TensorType.I16 => "<i2", TensorType.I8 => "|i1", TensorType.U8 => "|u1", _ => null };
        if (kind is null) throw new ModelFileException(tensor.File, $"tensor '{tensor.Name}': NumPy has no type {tensor.Type}");
        string shape = tensor.Shape.Length == 1 ? $"({tensor.Shape[0]},)" : $"({string.Join(", ", tensor.Shape)})", header = $"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}";
        header = header.PadRight((header.Length + 11 + 63) / 64 * 64 - 11) + "\n";
        Span<byte> start = stackalloc byte[10];
        new byte[] { 0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0 }.CopyTo(start);
        BinaryPrimitives.WriteUInt16LittleEndian(start[8..], (ushort)header.Length);
        stream.Write(start);
        stream.Write(Encoding.ASCII.GetBytes(header));
        if (tensor.Type != TensorType.BF16)
        {
            tensor.CopyRawTo(stream);
            return;
        }
        var values = new float[tensor.Width];
        for (long r = 0; r < tensor.RowCount; r++)
        {
            tensor.ReadRows(r, 1, values);
            stream.Write(MemoryMarshal.AsBytes<float>(values));
        }
    }
}
