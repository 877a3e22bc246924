namespace Tare.Tokenizers.Json;

/// <summary>What a post-processor puts in front of and behind a single text.</summary>
internal sealed record PostProcessing(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>Reads one; null where it adds nothing by design. Other types are refused by name.</summary>
    public static PostProcessing? Read(JsonFields field)
    {
        switch (field.Type)
        {
            case "ByteLevel": return null;
            case "BertProcessing" or "RobertaProcessing": return new PostProcessing([Pair(field.Get("cls"))], [Pair(field.Get("sep"))]);
            case "TemplateProcessing": return Template(field);
            case "Sequence":
                PostProcessing? all = null;
                foreach (var part in field.Get("processors").Items().Select(Read))
                    all = all is null ? part : part is null ? all : new PostProcessing([.. part.Before, .. all.Before], [.. all.After, .. part.After]);
                return all;
            default: throw field.Unknown("ByteLevel", "BertProcessing", "RobertaProcessing", "TemplateProcessing", "Sequence");
        }
    }

    private static PostProcessing Template(JsonFields field)
    {
        var before = new List<int>();
        var after = new List<int>();
        bool seen = false;
        foreach (var part in field.Get("single").Items())
            if (part.Find("Sequence") is not null) seen = true;
            else (seen ? after : before).AddRange(field.Get("special_tokens").Get(part.Get("SpecialToken").String("id")).Get("ids").Items().Select(i => i.AsInteger()));
        return new PostProcessing(before, after);
    }

    // ["[SEP]", 3]
    private static int Pair(JsonFields field) => field.Items().ToArray() is [_, var id] ? id.AsInteger() : throw field.Error("is not a pair of text and id");
}
