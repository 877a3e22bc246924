using System.CommandLine;
using Tare.Generation;

namespace Tare.Cli.Commands;

/// <summary>The options of sampling, named as in llama.cpp.</summary>
internal sealed class SamplingFlags
{
    private static readonly SamplingOptions Defaults = new();

    private readonly Option<double> _temperature = Number("--temp", "Temperature; 0 = always the most probable token.", Defaults.Temperature);
    private readonly Option<int> _topK = new("--top-k") { Description = "Only the k most probable tokens; 0 = all.", DefaultValueFactory = _ => Defaults.TopK };
    private readonly Option<double> _topP = Number("--top-p", "Only tokens that together reach this probability; 1 = all.", Defaults.TopP);
    private readonly Option<double> _minP = Number("--min-p", "Only tokens of at least this share of the best one's probability; 0 = all.", Defaults.MinP);
    private readonly Option<double> _repeat = Number("--repeat-penalty", "Weakens tokens that occurred; 1 = off.", Defaults.RepeatPenalty);
    private readonly Option<int> _last = new("--repeat-last-n") { Description = "Tokens that penalties look back at; -1 = all.", DefaultValueFactory = _ => Defaults.PenaltyTokens };
    private readonly Option<double> _frequency = Number("--frequency-penalty", "Subtracted for each occurrence.", Defaults.FrequencyPenalty);
    private readonly Option<double> _presence = Number("--presence-penalty", "Subtracted once for tokens that occurred.", Defaults.PresencePenalty);
    private readonly Option<long> _seed = new("-s", "--seed") { Description = "Seed; -1 = a random one.", DefaultValueFactory = _ => -1 };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _temperature, _topK, _topP, _minP, _repeat, _last, _frequency, _presence, _seed }) command.Add(option);
    }

    public SamplingOptions Read(ParseResult arguments)
    {
        long seed = arguments.GetValue(_seed);
        var options = new SamplingOptions
        {
            Temperature = arguments.GetValue(_temperature),
            TopK = arguments.GetValue(_topK),
            TopP = arguments.GetValue(_topP),
            MinP = arguments.GetValue(_minP),
            RepeatPenalty = arguments.GetValue(_repeat),
            PenaltyTokens = arguments.GetValue(_last),
            FrequencyPenalty = arguments.GetValue(_frequency),
            PresencePenalty = arguments.GetValue(_presence),
            Seed = seed == -1 ? null : (ulong)seed,
        };
        try
        {
            options.Validate();
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"run: {e.Message}");
        }
        return options;
    }

    private static Option<double> Number(string name, string description, double value) => new(name) { Description = description, DefaultValueFactory = _ => value };
}
