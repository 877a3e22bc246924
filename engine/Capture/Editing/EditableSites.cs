using System.Collections.Immutable;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Capture.Editing;

/// <summary>The values of a model that may be edited, numbered as columns of its edit table: those of all editable sites, each once, in the order of the sites.</summary>
public sealed class EditableSites
{
    private readonly Dictionary<Value, int> _indices = [];

    /// <summary>Numbers the editable values of a graph.</summary>
    public EditableSites(SiteMap map)
    {
        var names = ImmutableArray.CreateBuilder<string>();
        var widths = ImmutableArray.CreateBuilder<int>();
        foreach (var site in map.Sites)
            if (site.IsEditable && _indices.TryAdd(site.Value, _indices.Count))
            {
                names.Add(site.Name);
                widths.Add(site.Width);
            }
        (Names, Widths, Values) = (names.ToImmutable(), widths.ToImmutable(), [.. _indices.OrderBy(i => i.Value).Select(i => i.Key)]);
    }

    /// <summary>[columns] the first name of each value.</summary>
    public ImmutableArray<string> Names { get; }

    /// <summary>[columns] elements of a row.</summary>
    public ImmutableArray<int> Widths { get; }

    /// <summary>[columns] the values.</summary>
    public ImmutableArray<Value> Values { get; }

    /// <summary>The column of a site. Throws <see cref="EditException"/> for one that can't be edited.</summary>
    public int IndexOf(Site site)
        => site.IsEditable && _indices.TryGetValue(site.Value, out int index) ? index : throw new EditException($"{site.Name} can be captured but not edited: it is computed for the capture alone");

    /// <summary>The shape of a table with some slots beside slot 0.</summary>
    public EditTableLayout Table(int slots) => new(Widths, slots + 1);
}

/// <summary>An edit that can't be made: what is wrong with it, with its site or file.</summary>
public sealed class EditException(string message) : ArgumentException(message);
