using System.CommandLine;
using System.Runtime.InteropServices;
using Tare.Formats;
using Tare.Formats.Quantization.Encoding;
using Tare.Formats.Safetensors;

namespace Tare.Cli.Commands;

/// <summary><c>tare export</c>: all tensors decoded, under their file names. Integers, bools and F64 keep their type.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), output = SharedOptions.Output();
        var type = new Option<TensorType>("--type") { Description = "F32, F16 or BF16.", DefaultValueFactory = _ => TensorType.F32 };
        type.AcceptOnlyFromAmong("F32", "F16", "BF16");
        var command = new Command("export", "Decode all tensors into a .safetensors file.") { model, output, type };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            string target = arguments.GetValue(output)!;
            file.RefuseToOverwrite(target);
            foreach (var tensor in file.Tensors) tensor.EnsureDecodable();
            int done = 0;
            SafetensorsWriter.Write(target, [.. file.Tensors.Select(t => Decoded(t, arguments.GetValue(type), cancel, () => Progress.Show("export", ++done, file.Tensors.Count)))]);
            Progress.End();
            return 0;
        }));
        return command;
    }

    private static TensorToWrite Decoded(MappedTensor tensor, TensorType type, CancellationToken cancel, Action done)
    {
        bool asIs = tensor.Type is TensorType.F64 or TensorType.I8 or TensorType.I16 or TensorType.I32 or TensorType.I64 or TensorType.U8 or TensorType.Bool;
        return new TensorToWrite(tensor.Name, asIs ? tensor.Type : type, tensor.Shape, stream =>
        {
            if (asIs) tensor.CopyRawTo(stream, cancel);
            else WriteRows(tensor, type, stream, cancel);
            done();
        });
    }

    private static void WriteRows(MappedTensor tensor, TensorType type, Stream stream, CancellationToken cancel)
    {
        var row = new float[tensor.Width];
        var narrow = new ushort[tensor.Width];
        for (long r = 0; r < tensor.RowCount; r++)
        {
            cancel.ThrowIfCancellationRequested();
            tensor.ReadRows(r, 1, row);
            if (type == TensorType.F32)
            {
                stream.Write(MemoryMarshal.AsBytes<float>(row.AsSpan()));
                continue;
            }
            for (int i = 0; i < row.Length; i++) narrow[i] = type == TensorType.F16 ? BitConverter.HalfToUInt16Bits((Half)row[i]) : BlockEncoder.BrainFloat(row[i]);
            stream.Write(MemoryMarshal.AsBytes<ushort>(narrow.AsSpan()));
        }
    }
}
