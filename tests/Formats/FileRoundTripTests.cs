using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;

namespace Tare.Tests.Formats;

public sealed class FileRoundTripTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-formats-").FullName;

    private static readonly (string Key, GgufValueType Type, object Value)[] EveryType =
    [
        ("a.u8", GgufValueType.UInt8, (byte)255), ("a.i8", GgufValueType.Int8, (sbyte)-128), ("a.u16", GgufValueType.UInt16, (ushort)65535), ("a.i16", GgufValueType.Int16, (short)-32768),
        ("a.u32", GgufValueType.UInt32, uint.MaxValue), ("a.i32", GgufValueType.Int32, int.MinValue), ("a.f32", GgufValueType.Float32, -1.5f), ("a.bool", GgufValueType.Bool, true),
        ("a.string", GgufValueType.String, "Grüße, 世界 🦙\0"), ("a.u64", GgufValueType.UInt64, ulong.MaxValue), ("a.i64", GgufValueType.Int64, long.MinValue), ("a.f64", GgufValueType.Float64, Math.PI),
        ("b.strings", GgufValueType.Array, new GgufArray(GgufValueType.String, new[] { "", "x", "🦙" })), ("b.bools", GgufValueType.Array, new GgufArray(GgufValueType.Bool, new[] { true, false })),
        ("b.floats", GgufValueType.Array, new GgufArray(GgufValueType.Float32, new[] { 1f, -0f })), ("b.empty", GgufValueType.Array, new GgufArray(GgufValueType.Int64, Array.Empty<long>())),
        ("b.nested", GgufValueType.Array, new GgufArray(GgufValueType.Array, new[] { new GgufArray(GgufValueType.UInt16, new ushort[] { 1, 2 }), new GgufArray(GgufValueType.String, new[] { "deep" }) })),
    ];

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData(2, 32)]
    [InlineData(3, 32)]
    [InlineData(3, 1)]
    [InlineData(3, 4096)]
    public void Gguf_keeps_every_metadata_type_and_tensor(int version, int alignment)
    {
        string path = Path.Combine(_folder, "all.gguf");
        GgufWriter.Write(path, EveryType, [Tensor("w", TensorType.F32, [2, 3], [1f, 2, 3, 4, 5, 6]), Tensor("v", TensorType.F64, [1], [Math.E]), Tensor<byte>("empty", TensorType.F32, [0, 4], [])], alignment, version);
        using var file = (GgufFile)ModelFile.Open(path);
        file.Version.ShouldBe(version);
        file.Alignment.ShouldBe(alignment);
        foreach (var (key, type, value) in EveryType)
        {
            file.Metadata.TryGet(key, out var readType, out object? read).ShouldBeTrue();
            readType.ShouldBe(type);
            if (value is GgufArray array) ShouldEqual(((GgufArray)read!), array);
            else read.ShouldBe(value);
        }
        file.TryGetTensor("w", out var w).ShouldBeTrue();
        w!.Shape.ShouldBe([2, 3]);
        w.ToArray().ShouldBe([1f, 2, 3, 4, 5, 6]);
        file.TryGetTensor("v", out var v).ShouldBeTrue();
        var wide = new double[1];
        v!.ReadRows(0, 1, wide);
        wide[0].ShouldBe(Math.E);
        Directory.GetFiles(_folder).Length.ShouldBe(1);
    }

    [Fact]
    public void Safetensors_types_that_are_not_known_are_listed_and_not_read()
    {
        string path = Path.Combine(_folder, "odd.safetensors");
        byte[] header = Encoding.UTF8.GetBytes("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"s":{"dtype":"F8_E8M0","shape":[2,3],"data_offsets":[8,14]}}""");
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        File.WriteAllBytes(path, [.. length, .. header, .. new byte[14]]);
        using var file = ModelFile.Open(path);
        file.TryGetTensor("s", out var odd).ShouldBeTrue();
        (odd!.TypeName, odd.Type, odd.CanDecode, odd.ByteLength).ShouldBe(("F8_E8M0", TensorType.Unknown, false, 6));
        Should.Throw<ModelFileException>(() => odd.ToArray()).Message.ShouldContain("F8_E8M0");
        file.TryGetTensor("a", out var known).ShouldBeTrue();
        known!.ToArray().ShouldBe([0f, 0]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_split_model_reads_as_one(bool map)
    {
        WriteSplit("m", 3, i => i, _ => 3);
        using var file = (GgufFile)ModelFile.Open(Path.Combine(_folder, "m-00001-of-00003.gguf"), new OpenOptions { Map = map });
        file.Parts.ShouldBe(3);
        file.Tensors.Select(t => t.ToArray()[0]).ShouldBe([0f, 1f, 2f]);
    }

    [Fact]
    public void Wrong_splits_are_refused()
    {
        WriteSplit("number", 3, i => i == 2 ? 1 : i, _ => 3);
        Refuses("number-00001-of-00003.gguf").ShouldContain("split.no");
        WriteSplit("count", 2, i => i, i => i == 1 ? 5 : 2);
        Refuses("count-00001-of-00002.gguf").ShouldContain("split.count");
        WriteSplit("missing", 2, i => i, _ => 2);
        File.Delete(Path.Combine(_folder, "missing-00002-of-00002.gguf"));
        Refuses("missing-00001-of-00002.gguf").ShouldContain("missing-00002-of-00002.gguf");
        WriteSplit("second", 2, i => i, _ => 2);
        Refuses("second-00002-of-00002.gguf").ShouldContain("open the first part");
        WriteSplit("huge", 1, i => i, _ => int.MaxValue);
        Refuses("huge-00001-of-00001.gguf").ShouldContain("split.count");
        File.Copy(Path.Combine(_folder, "second-00001-of-00002.gguf"), Path.Combine(_folder, "renamed.gguf"));
        Refuses("renamed.gguf").ShouldContain("named");
        WriteSplit("twice", 2, i => i, _ => 2, _ => "same");
        Refuses("twice-00001-of-00002.gguf").ShouldContain("occurs twice");
    }

    [Fact]
    public void Safetensors_keeps_every_type()
    {
        string path = Path.Combine(_folder, "all.safetensors");
        SafetensorsWriter.Write(path,
        [
            Tensor("f64", TensorType.F64, [2], [1e300, -0.1]), Tensor("f32", TensorType.F32, [1, 2], [1f, 2f]), Tensor("f16", TensorType.F16, [1], [(Half)0.5f]), Tensor<ushort>("bf16", TensorType.BF16, [1], [0x3FC0]),
            Tensor<byte>("e4m3", TensorType.F8_E4M3, [1], [0x38]), Tensor<byte>("e5m2", TensorType.F8_E5M2, [1], [0x3C]), Tensor<sbyte>("i8", TensorType.I8, [1], [-3]), Tensor<short>("i16", TensorType.I16, [1], [-300]),
            Tensor("i32", TensorType.I32, [1], [-70000]), Tensor("i64", TensorType.I64, [1], [(1L << 53) - 1]), Tensor<byte>("u8", TensorType.U8, [], [200]), Tensor<byte>("bool", TensorType.Bool, [2], [1, 0]),
        ], new Dictionary<string, string> { ["format"] = "pt" });
        using var file = (CheckpointFolder)ModelFile.Open(path);
        file.FileMetadata["format"].ShouldBe("pt");
        double[] Read(string name)
        {
            file.TryGetTensor(name, out var tensor).ShouldBeTrue(name);
            var values = new double[tensor!.ElementCount];
            tensor.ReadRows(0, (int)tensor.RowCount, values);
            return values;
        }
        Read("f64").ShouldBe([1e300, -0.1]);
        Read("f32").ShouldBe([1, 2]);
        Read("f16").ShouldBe([0.5]);
        Read("bf16").ShouldBe([1.5]);
        Read("e4m3").ShouldBe([1]);
        Read("e5m2").ShouldBe([1]);
        Read("i8").ShouldBe([-3]);
        Read("i16").ShouldBe([-300]);
        Read("i32").ShouldBe([-70000]);
        Read("i64").ShouldBe([(1L << 53) - 1]);
        Read("u8").ShouldBe([200]);
        Read("bool").ShouldBe([1, 0]);
    }

    [Fact]
    public void A_sharded_folder_reads_as_one_and_wrong_indices_are_refused()
    {
        SafetensorsWriter.Write(Path.Combine(_folder, "one.safetensors"), [Tensor("a", TensorType.F32, [1], [1f])]);
        SafetensorsWriter.Write(Path.Combine(_folder, "two.safetensors"), [Tensor("b", TensorType.F32, [1], [2f])]);
        string index = Path.Combine(_folder, "model.safetensors.index.json");
        void Map(string map) => File.WriteAllText(index, $"{{\"metadata\":{{}},\"weight_map\":{map}}}");
        Map("""{"a":"one.safetensors","b":"two.safetensors"}""");
        using (var model = ModelFile.Open(_folder)) model.Tensors.Select(t => t.ToArray()[0]).ShouldBe([1f, 2f]);
        Map("""{"a":"two.safetensors","b":"two.safetensors"}""");
        Refuses("").ShouldContain("does not hold it");
        Map("""{"a":"one.safetensors"}""");
        using (var model = ModelFile.Open(_folder)) model.Tensors.Count.ShouldBe(1);
        Map("""{"a":"../one.safetensors"}""");
        Refuses("").ShouldContain("not a plain file name");
        Map("""{"a":"three.safetensors"}""");
        Refuses("").ShouldContain("three.safetensors");
        Map("[]");
        Refuses("").ShouldContain("weight_map");
        File.WriteAllText(index, "{");
        Refuses("").ShouldContain("index.json");
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "begins at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 8, "end at byte 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "begins at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "header")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}""", 4, "needs 12")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1152921504606846976,1152921504606846976],"data_offsets":[0,4]}}""", 4, "overflows")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "negative")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "not an integer")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99]}}""", 4, "outside")]
    [InlineData("""{"a":7}""", 4, "not an object")]
    [InlineData("[]", 0, "not a JSON object")]
    [InlineData("{", 0, "not JSON")]
    public void Hostile_safetensors_headers_are_refused(string header, int dataBytes, string because)
    {
        byte[] text = Encoding.UTF8.GetBytes(header), bytes = new byte[8 + text.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, text.Length);
        text.CopyTo(bytes, 8);
        Should.Throw<ModelFileException>(() => CheckpointFolder.FromBytes("x.safetensors", bytes)).Message.ShouldContain(because);
    }

    [Fact]
    public void Hostile_gguf_headers_are_refused()
    {
        string Refusal(Action<BinaryWriter> write)
        {
            var stream = new MemoryStream();
            using (var writer = new BinaryWriter(stream)) write(writer);
            return Should.Throw<ModelFileException>(() => GgufFile.FromBytes("x.gguf", stream.ToArray())).Message;
        }
        void Header(BinaryWriter w, ulong tensors, ulong keys, uint version = 3) { w.Write("GGUF"u8); w.Write(version); w.Write(tensors); w.Write(keys); }
        void Text(BinaryWriter w, string s) { w.Write((ulong)Encoding.UTF8.GetByteCount(s)); w.Write(Encoding.UTF8.GetBytes(s)); }
        void OneTensor(BinaryWriter w, string name, uint dimensions, ulong size, uint type, ulong offset) { Text(w, name); w.Write(dimensions); for (uint d = 0; d < Math.Min(dimensions, 5); d++) w.Write(size); w.Write(type); w.Write(offset); }

        Refusal(w => w.Write("GGML"u8)).ShouldContain("not GGUF");
        Refusal(w => Header(w, 0, 0, 1)).ShouldContain("version 1");
        Refusal(w => Header(w, 0, 0, 0x03000000)).ShouldContain("big-endian");
        Refusal(w => Header(w, 1UL << 60, 0)).ShouldContain("tensor count = 1152921504606846976");
        Refusal(w => Header(w, 0, 1UL << 60)).ShouldContain("metadata count = 1152921504606846976");
        Refusal(w => { Header(w, 0, 1); Text(w, "k"); w.Write(8); w.Write(1UL << 60); }).ShouldContain("k: length = 1152921504606846976");
        Refusal(w => { Header(w, 0, 1); Text(w, "k"); w.Write(9); w.Write(4); w.Write(1UL << 60); }).ShouldContain("array length");
        Refusal(w => { Header(w, 0, 1); Text(w, "k"); w.Write(77); w.Write(0UL); }).ShouldContain("77");
        Refusal(w => { Header(w, 0, 1); Text(w, "k"); w.Write(7); w.Write((byte)2); }).ShouldContain("not a bool");
        Refusal(w => { Header(w, 0, 1); w.Write(2UL); w.Write((ushort)0xFFFF); w.Write(4); w.Write(0); }).ShouldContain("UTF-8");
        Refusal(w => { Header(w, 0, 1); Text(w, "k"); w.Write(9); for (int i = 0; i < 40; i++) { w.Write(9); w.Write(1UL); } w.Write(new byte[64]); }).ShouldContain("deep");
        Refusal(w => { Header(w, 0, 2); for (int i = 0; i < 2; i++) { Text(w, "k"); w.Write(4); w.Write(1); } }).ShouldContain("'k' occurs twice");
        Refusal(w => { Header(w, 0, 1); Text(w, "general.alignment"); w.Write(4); w.Write(48); }).ShouldContain("48");
        Refusal(w => { Header(w, 0, 1); Text(w, "general.alignment"); w.Write(4); w.Write(0); }).ShouldContain("alignment");
        Refusal(w => { Header(w, 1, 0); OneTensor(w, "t", 5, 1, 0, 0); w.Write(new byte[64]); }).ShouldContain("5 dimensions");
        Refusal(w => { Header(w, 1, 0); OneTensor(w, "t", 4, 1UL << 30, 0, 0); w.Write(new byte[64]); }).ShouldContain("overflows");
        Refusal(w => { Header(w, 1, 0); OneTensor(w, "t", 1, 1 << 20, 0, 0); w.Write(new byte[64]); }).ShouldContain("beyond");
        Refusal(w => { Header(w, 1, 0); OneTensor(w, "t", 1, 1, 0, 7); w.Write(new byte[64]); }).ShouldContain("offset 7");
        Refusal(w => { Header(w, 1, 0); OneTensor(w, "t", 1, 33, 2, 0); w.Write(new byte[64]); }).ShouldContain("blocks of 32");
        Refusal(w => { Header(w, 2, 0); OneTensor(w, "t", 1, 4, 0, 0); OneTensor(w, "u", 1, 4, 0, 0); w.Write(new byte[128]); }).ShouldContain("overlap");
        Refusal(w => { Header(w, 2, 0); OneTensor(w, "t", 1, 4, 0, 0); OneTensor(w, "t", 1, 4, 0, 32); w.Write(new byte[128]); }).ShouldContain("'t' occurs twice");
    }

    [Fact]
    public void Tensors_of_unknown_type_are_listed_and_not_decoded()
    {
        foreach (var (type, name) in new[] { (41, "Q1_0"), (15, "Q8_K"), (999, "999") })
        {
            string path = Path.Combine(_folder, $"{type}.gguf");
            GgufWriter.Write(path, [], [Tensor("t", TensorType.F32, [4], [1f, 2, 3, 4])]);
            byte[] bytes = File.ReadAllBytes(path);
            int at = bytes.AsSpan().IndexOf("t\u0001\0\0\0"u8) + 1 + 4 + 8;
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), type);
            File.WriteAllBytes(path, bytes);
            using var file = ModelFile.Open(path);
            file.Tensors.Single().CanDecode.ShouldBeFalse();
            string message = Should.Throw<ModelFileException>(() => file.Tensors[0].ToArray()).Message;
            message.ShouldContain("t: type");
            message.ShouldContain(name);
            message.ShouldContain("known: F32");
        }
    }

    [Fact]
    public void A_lease_keeps_the_bytes_after_dispose_and_the_input_is_not_overwritten()
    {
        string path = Path.Combine(_folder, "lease.safetensors");
        SafetensorsWriter.Write(path, [Tensor("a", TensorType.F32, [1], [1f])]);
        var model = ModelFile.Open(path);
        Should.Throw<ModelFileException>(() => model.RefuseToOverwrite(path));
        string link = Path.Combine(_folder, "link.safetensors");
        File.CreateSymbolicLink(link, path);
        Should.Throw<ModelFileException>(() => model.RefuseToOverwrite(link));
        model.RefuseToOverwrite(Path.Combine(_folder, "other.safetensors"));
        var lease = model.Lease();
        model.Dispose();
        model.Tensors[0].ToArray().ShouldBe([1f]);
        lease.Dispose();
        Should.Throw<ObjectDisposedException>(() => model.Tensors[0].ToArray());
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_nothing_else()
    {
        string path = Path.Combine(_folder, "kept.safetensors");
        SafetensorsWriter.Write(path, [Tensor("a", TensorType.F32, [1], [1f])]);
        Should.Throw<IOException>(() => SafetensorsWriter.Write(path, [new TensorToWrite("a", TensorType.F32, [1], _ => throw new IOException("full"))]));
        Should.Throw<InvalidOperationException>(() => SafetensorsWriter.Write(path, [Tensor("a", TensorType.F32, [2], [1f])]));
        using var model = ModelFile.Open(path);
        model.Tensors[0].ToArray().ShouldBe([1f]);
        Directory.GetFiles(_folder).ShouldBe([path]);
    }

    private string Refuses(string name) => Should.Throw<ModelFileException>(() => ModelFile.Open(Path.Combine(_folder, name)).Dispose()).Message;

    private void WriteSplit(string stem, int parts, Func<int, int> number, Func<int, int> count, Func<int, string>? name = null)
    {
        for (int i = 0; i < parts; i++)
            GgufWriter.Write(Path.Combine(_folder, $"{stem}-{i + 1:D5}-of-{parts:D5}.gguf"),
                [("split.no", GgufValueType.UInt16, (ushort)number(i)), ("split.count", GgufValueType.Int32, count(i)), ("split.tensors.count", GgufValueType.Int32, parts)],
                [Tensor(name?.Invoke(i) ?? $"t{i}", TensorType.F32, [1], [(float)i])]);
    }

    private static void ShouldEqual(GgufArray actual, GgufArray expected)
    {
        actual.ElementType.ShouldBe(expected.ElementType);
        if (expected.Items is GgufArray[] nested)
            for (int i = 0; i < nested.Length; i++) ShouldEqual(((GgufArray[])actual.Items)[i], nested[i]);
        else
            actual.Items.Cast<object>().ShouldBe(expected.Items.Cast<object>());
    }

    private static TensorToWrite Tensor<T>(string name, TensorType type, ImmutableArray<long> shape, T[] values) where T : unmanaged => new(name, type, shape, s => s.Write(MemoryMarshal.AsBytes(values.AsSpan())));
}
