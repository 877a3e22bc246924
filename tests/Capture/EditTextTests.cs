using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Capture.Statistics;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Tests.Support;

namespace Tare.Tests.Capture;

/// <summary>Edits as text and JSON, vectors from files, and control vectors as llama.cpp writes and reads them.</summary>
public sealed class EditTextTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-edit-text-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void One_grammar_says_action_sites_file_number_and_options()
    {
        string vector = Tensors("v.safetensors", ("v", [2], [1, 2]));
        var zero = One("zero:blocks.{3..7}.hook_attn_out");
        (zero.Action, zero.Sites, zero.Strength, zero.Vectors).ShouldBe((EditAction.Zero, "blocks.{3..7}.hook_attn_out", 1, null));
        One("zero:hook_embed:0.5").Strength.ShouldBe(0.5);
        (One("scale:hook_embed:-2").Factor, One("scale:hook_embed:-2:strength=0.5").Strength).ShouldBe((-2, 0.5));
        var add = One($"add:blocks.3.hook_resid_post:{vector}:0.5:phase=generated:positions=0,-1,3..7,9..,..2:tokens=5,8..9:layers=1..2,4");
        (add.Strength, add.Rows.Generated).ShouldBe((0.5, true));
        add.Rows.Positions.ShouldBe([new(0, 0), new(-1, -1), new(3, 7), new(9, int.MaxValue), new(0, 2)]);
        add.Rows.Tokens.ShouldBe([5, 8, 9]);
        add.Layers.ShouldBe([1, 2, 4]);
        add.Vectors.ShouldBeOfType<SameVectors>().Vectors.Values.ShouldBe([1, 2]);
        One($"clamp:hook_embed:{vector}:min=-1:max=2.5").ShouldSatisfyAllConditions(c => c.Minimum.ShouldBe(-1), c => c.Maximum.ShouldBe(2.5));
        foreach (var (name, action) in EditParser.Actions)
            if (action is not (EditAction.Zero or EditAction.Scale or EditAction.Patch)) One($"{name}:hook_embed:{vector}{(action == EditAction.Clamp ? ":min=0" : "")}").Action.ShouldBe(action);
        EditParser.Actions.Keys.ShouldBe(["zero", "mean", "patch", "scale", "add", "add-matched", "add-norm-preserving", "project-out", "clamp"]);

        foreach (var (text, reason) in new[]
        {
            ("zero", "ACTION:SITES"), ("nothing:hook_embed", "project-out"), ("add:hook_embed", "needs a file"), ($"zero:hook_embed:{vector}", "takes no file"), ("zero:hook_embed:1:2", "twice"), ("zero:hook_embed:color=3", "'color'"),
            ("zero:hook_embed:heads=x", "'x'"), ("zero:hook_embed:heads=-1", "-1"), ("zero:hook_embed:heads=5..3", "5..3"), ("zero:hook_embed:phase=later", "later"), ("scale:hook_embed", "factor"), ("zero:hook_embed:heads=0..99999999", "99999999"),
            ("zero:hook_embed::1", "empty"), ($"add:hook_embed:{vector}:tensor=w", "no tensor 'w'"), ("zero:hook_embed:strength=NaN", "NaN"), ("zero:hook_embed:tensor=x", "belongs to a file"), ($"add:hook_embed:{_folder}/none.safetensors", "none.safetensors"),
            ("zero:hook_embed:positions=1..2..3", "1..2..3"), ("zero:hook_embed:factor=2", "scale"),
        })
            Should.Throw<Exception>(() => One(text), text).Message.ShouldContain(reason, Case.Sensitive, text);
    }

    [Fact]
    public void A_json_file_holds_full_specs_with_paths_of_its_own()
    {
        Tensors("v.safetensors", ("a", [2], [1, 2]), ("b", [2], [3, 4]));
        string path = Path.Combine(_folder, "edits.json");
        File.WriteAllText(path, """{"edits": [{"action": "add", "sites": "hook_embed", "file": "v.safetensors", "tensor": "b", "strength": 0.25, "heads": [0, "2..3"]}, {"action": "project-out", "sites": "hook_embed", "vector": [0.5, -1], "positions": "-1"}]}""");
        var edits = EditParser.Parse(path);
        edits[0].Vectors.ShouldBeOfType<SameVectors>().Vectors.Values.ShouldBe([3, 4]);
        (edits[0].Strength, edits[0].Heads.Length).ShouldBe((0.25, 3));
        edits[1].Vectors.ShouldBeOfType<SameVectors>().Vectors.Values.ShouldBe([0.5, -1]);
        edits[1].Rows.Positions.ShouldBe([new(-1, -1)]);
        foreach (var (json, reason) in new[] { ("{", "no JSON"), ("3", "neither"), ("[3]", "no object"), ("""[{"sites": "x"}]""", "''"), ("""{"action": "zero"}""", "no sites"), ("""{"action": "zero", "sites": "x", "strenght": 1}""", "strenght"), ("""{"action": "add", "sites": "x", "vector": ["a"]}""", "vector holds a"), ("""{"action": "zero", "sites": true}""", "sites is true") })
        {
            File.WriteAllText(path, json);
            Should.Throw<Exception>(() => EditParser.Parse(path), json).Message.ShouldContain(reason, Case.Sensitive, json);
        }
    }

    [Fact]
    public void Tensors_named_after_sites_serve_their_sites_and_several_rows_are_directions()
    {
        var planner = new EditPlanner(new RandomModel(Blocks: 2, Width: 24).Build());
        float[] a = [.. Enumerable.Range(0, 24).Select(i => (float)i)], b = [.. a.Select(x => -x)];
        string path = Tensors("sites.safetensors", ("blocks.0.hook_resid_post", [24], a), ("blocks.1.hook_resid_post", [24], b));
        var entry = planner.Resolve([One($"add:blocks.*.hook_resid_post:{path}")]);
        entry.Operations.Select(o => (float)o.Vector[3]).ShouldBe([3, -3]);
        Should.Throw<EditException>(() => planner.Resolve([One($"add:blocks.*.hook_resid_mid:{path}")])).Message.ShouldContain("blocks.0.hook_resid_mid");
        string two = Tensors("two.safetensors", ("d", [2, 24], [.. a, .. Enumerable.Repeat(1f, 24)]));
        planner.Resolve([One($"project-out:blocks.0.hook_resid_post:{two}")]).Operations.Length.ShouldBe(2);
        Should.Throw<EditException>(() => planner.Resolve([One($"add:blocks.0.hook_resid_post:{two}")])).Message.ShouldContain("one vector");
    }

    [Fact]
    public void Means_are_those_of_a_rows_own_group()
    {
        var planner = new EditPlanner(new RandomModel(Blocks: 2, Width: 24).Build());
        var site = new SiteStatistics(new SiteColumns("blocks.0.hook_mlp_out", 24, false, false, true));
        for (int p = 0; p < 40; p++) site.PushChannels([.. Enumerable.Repeat((float)(p == 0 ? 100 : p < 16 ? 10 : 1), 24)], RowGroup.Of(p, Phase.Prompt));
        site.Finish();
        string path = Path.Combine(_folder, "means.safetensors");
        StatisticsFile.Write(path, [site], new Dictionary<string, string>());
        var entry = planner.Resolve([One($"mean:blocks.0.hook_mlp_out:{path}:positions=0..20")]);
        foreach (var (position, phase, mean) in new[] { (0, Phase.Prompt, 100), (3, Phase.Prompt, 10), (20, Phase.Prompt, 1), (16, Phase.Generated, 1), (15, Phase.Generated, 10) })
        {
            ulong rows = entry.Rows(position, 0, phase, 12);
            entry.Operations.Single(o => (rows >> o.Selection & 1) != 0).Vector[5].ShouldBe(mean, $"position {position}");
        }
        entry.Rows(21, 0, Phase.Prompt, 30).ShouldBe(0UL);
        planner.Resolve([One($"mean:blocks.0.hook_mlp_out:{path}:group=all")]).Operations.Single().Vector[0].ShouldBe((100 + 15 * 10 + 24) / 40.0, 1e-12);
        planner.Resolve([One($"mean:blocks.0.hook_mlp_out:{path}:group=prompt/1-15")]).Operations.Single().Vector[0].ShouldBe(10, 1e-12);
        Should.Throw<EditException>(() => planner.Resolve([One($"mean:blocks.0.hook_mlp_out:{path}:group=generated/0")])).Message.ShouldContain("no rows");
        Should.Throw<EditException>(() => planner.Resolve([One($"mean:blocks.0.hook_mlp_out:{path}:group=else")])).Message.ShouldContain("prompt/16-");
        Should.Throw<EditException>(() => planner.Resolve([One($"mean:blocks.1.hook_mlp_out:{path}")])).Message.ShouldContain("blocks.1.hook_mlp_out");
    }

    [Fact]
    public void A_control_vector_is_read_as_llama_cpp_reads_it_and_written_as_its_generator_writes_it()
    {
        // Written with nothing of ours but the container: direction.N from 1, added behind layer N.
        string path = Path.Combine(_folder, "cv.gguf");
        GgufWriter.Write(path, [("general.architecture", GgufValueType.String, "controlvector"), ("controlvector.model_hint", GgufValueType.String, "llama"), ("controlvector.layer_count", GgufValueType.Int32, 3)],
            [.. new[] { 1, 2, 7 }.Select(n => new TensorToWrite($"direction.{n}", TensorType.F32, [24], stream => stream.Write(MemoryMarshal.AsBytes<float>([.. Enumerable.Repeat((float)n, 24)]))))]);
        var vector = ControlVector.Read(path);
        (vector.Width, vector.ModelHint).ShouldBe((24, "llama"));
        vector.Directions.Keys.ShouldBe([1, 2, 7]);
        var planner = new EditPlanner(new RandomModel(Blocks: 3, Width: 24).Build());
        Added(planner, vector.Edits(0.5, 3)).ShouldBe([("blocks.1.hook_resid_post", 0.5, 1), ("blocks.2.hook_resid_post", 0.5, 2)]); // a model of 3 layers has no layer 7, and layer 0 takes none
        Added(planner, vector.Edits(-1, 3, first: 2, last: 2)).ShouldBe([("blocks.2.hook_resid_post", -1, 2)]);
        Should.Throw<EditException>(() => vector.Edits(1, 3, first: 3, last: 6)).Message.ShouldContain("3 … 2");
        Added(planner, [One($"add:blocks.2.hook_resid_post:{path}:3")]).ShouldBe([("blocks.2.hook_resid_post", 3, 2)]);

        string copy = Path.Combine(_folder, "copy.gguf");
        vector.Write(copy);
        var again = ControlVector.Read(copy);
        again.Directions.Keys.ShouldBe(vector.Directions.Keys);
        foreach (int n in vector.Directions.Keys) again.Directions[n].ShouldBe(vector.Directions[n]);
        using var file = ModelFile.Open(copy);
        ((GgufFile)file).Metadata.FindInteger("controlvector.layer_count").ShouldBe(3);
        file.Tensors.Select(t => t.Name).ShouldBe(["direction.1", "direction.2", "direction.7"]);
    }

    [Fact]
    public void What_is_measured_behind_a_layer_becomes_the_direction_of_the_next()
    {
        StatisticsFile positive = Statistics("p", 5), negative = Statistics("n", 2);
        var vector = ControlVector.Difference(positive, negative);
        vector.Directions.Keys.ShouldBe([1, 2]); // of three layers the last gives none
        vector.Directions[1][0].ShouldBe(3 * 1f);
        vector.Directions[2][0].ShouldBe(3 * 2f);
        ControlVector.Difference(positive, negative, normalize: true).Directions[2].Sum(x => x * x).ShouldBe(1, 1e-6);

        StatisticsFile Statistics(string name, float value)
        {
            var sites = Enumerable.Range(0, 3).Select(i =>
            {
                var site = new SiteStatistics(new SiteColumns(SiteNames.ResidPost(i), 24, false, false, true));
                site.PushChannels([.. Enumerable.Repeat(1e6f * value, 24)], RowGroup.Of(0, Phase.Prompt)); // position 0 does not count
                for (int p = 1; p < 4; p++) site.PushChannels([.. Enumerable.Repeat(value * (i + 1), 24)], RowGroup.Of(p, Phase.Prompt));
                site.Finish();
                return site;
            }).ToArray();
            string path = Path.Combine(_folder, name + ".safetensors");
            StatisticsFile.Write(path, sites, new Dictionary<string, string>());
            return StatisticsFile.Read(path);
        }
    }

    [Fact]
    public void Control_vectors_that_are_none_are_refused_by_name()
    {
        foreach (var (architecture, name, shape, value, reason) in new (string, string, long[], float, string)[]
        {
            ("llama", "direction.1", [4], 1, "general.architecture"), ("controlvector", "direction.0", [4], 1, "direction.0"), ("controlvector", "direction.-1", [4], 1, "direction.-1"), ("controlvector", "direction", [4], 1, "'direction'"),
            ("controlvector", "other.1", [4], 1, "other.1"), ("controlvector", "direction.1", [2, 2], 1, "[2, 2]"), ("controlvector", "direction.1", [4], float.NaN, "NaN"), ("controlvector", "direction.99999999", [4], 1, "99999999"), ("controlvector", "direction.01", [3], 1, "direction.1"),
        })
        {
            string path = Path.Combine(_folder, "bad.gguf");
            TensorToWrite Tensor(string n, long[] s) => new(n, TensorType.F32, [.. s], stream => stream.Write(MemoryMarshal.AsBytes<float>([.. Enumerable.Repeat(value, (int)s.Aggregate((a, b) => a * b))])));
            GgufWriter.Write(path, [("general.architecture", GgufValueType.String, architecture)], name == "direction.01" ? [Tensor("direction.1", [4]), Tensor(name, shape)] : [Tensor(name, shape)]);
            Should.Throw<ModelFileException>(() => ControlVector.Read(path), name).Message.ShouldContain(reason, Case.Sensitive, name);
        }
        string text = Path.Combine(_folder, "text.gguf");
        File.WriteAllText(text, "not a file of that kind");
        Should.Throw<ModelFileException>(() => ControlVector.Read(text));
        Should.Throw<ArgumentException>(() => ControlVector.Create([]));
    }

    private static List<(string, double, double)> Added(EditPlanner planner, IReadOnlyList<EditSpec> specs) => [.. planner.Resolve(specs).Operations.Select(o => (planner.Sites.Names[o.Site], o.Strength, o.Vector[0]))];

    private static EditSpec One(string text) => EditParser.Parse(text).Single();

    private string Tensors(string name, params (string Name, long[] Shape, float[] Values)[] tensors)
    {
        string path = Path.Combine(_folder, name);
        SafetensorsWriter.Write(path, [.. tensors.Select(t => new TensorToWrite(t.Name, TensorType.F32, [.. t.Shape], stream => stream.Write(MemoryMarshal.AsBytes<float>(t.Values))))]);
        return path;
    }
}
