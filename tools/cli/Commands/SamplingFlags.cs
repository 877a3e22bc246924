using System.CommandLine;
using System.Globalization;
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
    private readonly Option<double> _sigma = Number("--top-nsigma", "Only logits within this many standard deviations below the largest; -1 = all.", Defaults.TopNSigma, "--top-n-sigma");
    private readonly Option<double> _typical = Number("--typical", "Only tokens of typical surprise that together exceed this probability; 1 = all.", Defaults.TypicalP, "--typical-p");
    private readonly Option<double> _xtcProbability = Number("--xtc-probability", "How often the top choices are excluded; 0 = never.", Defaults.XtcProbability);
    private readonly Option<double> _xtcThreshold = Number("--xtc-threshold", "Probability from which on a token is a top choice.", Defaults.XtcThreshold);
    private readonly Option<double> _dryMultiplier = Number("--dry-multiplier", "Penalty on tokens that would prolong a repetition; 0 = off.", Defaults.DryMultiplier);
    private readonly Option<double> _dryBase = Number("--dry-base", "Growth of that penalty with each repeated token.", Defaults.DryBase);
    private readonly Option<int> _dryLength = new("--dry-allowed-length") { Description = "Shorter repetitions are allowed.", DefaultValueFactory = _ => Defaults.DryAllowedLength };
    private readonly Option<int> _dryLast = new("--dry-penalty-last-n") { Description = "Tokens that it looks back at; -1 = all, 0 = off.", DefaultValueFactory = _ => Defaults.DryPenaltyTokens };
    private readonly Option<string[]> _dryBreakers = new("--dry-sequence-breaker") { Description = "A text that ends a repetition; in place of newline, colon, quote and asterisk. 'none' = no breakers." };
    private readonly Option<int> _mirostat = new("--mirostat") { Description = "2 = Mirostat 2.0 in place of the chain; 0 = off.", DefaultValueFactory = _ => Defaults.Mirostat };
    private readonly Option<double> _mirostatRate = Number("--mirostat-lr", "How fast Mirostat learns.", Defaults.MirostatRate);
    private readonly Option<double> _mirostatTarget = Number("--mirostat-ent", "Surprise in bits that Mirostat aims at.", Defaults.MirostatTarget);
    private readonly Option<string[]> _bias = new("-l", "--logit-bias") { Description = "ID+BIAS or ID-BIAS: added to the logit of a token; -inf forbids it." };
    private readonly Option<string> _samplers = new("--samplers") { Description = "Samplers in order, separated by ';'.", DefaultValueFactory = _ => "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature" };
    private readonly Option<string?> _letters = new("--sampling-seq", "--sampler-seq") { Description = "The same as letters, such as edskypmxt." };
    private readonly Option<long> _seed = new("-s", "--seed") { Description = "Seed; -1 = a random one.", DefaultValueFactory = _ => -1 };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _temperature, _topK, _topP, _minP, _repeat, _last, _frequency, _presence, _sigma, _typical, _xtcProbability, _xtcThreshold, _dryMultiplier, _dryBase, _dryLength, _dryLast, _dryBreakers,
            _mirostat, _mirostatRate, _mirostatTarget, _bias, _samplers, _letters, _seed }) command.Add(option);
    }

    public SamplingOptions Read(ParseResult arguments)
    {
        try
        {
            var options = Values(arguments);
            options.Validate();
            return options;
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"run: {e.Message}");
        }
    }

    private SamplingOptions Values(ParseResult arguments)
    {
        long seed = arguments.GetValue(_seed);
        string[] breakers = arguments.GetValue(_dryBreakers) ?? [];
        return new SamplingOptions
        {
            Temperature = arguments.GetValue(_temperature),
            TopK = arguments.GetValue(_topK),
            TopP = arguments.GetValue(_topP),
            MinP = arguments.GetValue(_minP),
            RepeatPenalty = arguments.GetValue(_repeat),
            PenaltyTokens = arguments.GetValue(_last),
            FrequencyPenalty = arguments.GetValue(_frequency),
            PresencePenalty = arguments.GetValue(_presence),
            TopNSigma = arguments.GetValue(_sigma),
            TypicalP = arguments.GetValue(_typical),
            XtcProbability = arguments.GetValue(_xtcProbability),
            XtcThreshold = arguments.GetValue(_xtcThreshold),
            DryMultiplier = arguments.GetValue(_dryMultiplier),
            DryBase = arguments.GetValue(_dryBase),
            DryAllowedLength = arguments.GetValue(_dryLength),
            DryPenaltyTokens = arguments.GetValue(_dryLast),
            DrySequenceBreakers = breakers.Length == 0 ? Defaults.DrySequenceBreakers : breakers is ["none"] ? [] : [.. breakers],
            Mirostat = arguments.GetValue(_mirostat),
            MirostatRate = arguments.GetValue(_mirostatRate),
            MirostatTarget = arguments.GetValue(_mirostatTarget),
            LogitBias = [.. (arguments.GetValue(_bias) ?? []).Select(Bias)],
            Samplers = arguments.GetValue(_letters) is { } letters ? SamplerOrder.ParseLetters(letters) : SamplerOrder.Parse(arguments.GetValue(_samplers)!),
            Seed = seed == -1 ? null : (ulong)seed,
        };
    }

    // 15043+1, 15043-2.5, 15043-inf.
    private static KeyValuePair<int, double> Bias(string text)
    {
        int sign = text.IndexOfAny(['+', '-']);
        if (sign > 0 && int.TryParse(text.AsSpan(0, sign), CultureInfo.InvariantCulture, out int id))
        {
            string number = text[sign..];
            if (number is "-inf") return new(id, double.NegativeInfinity);
            if (double.TryParse(number, CultureInfo.InvariantCulture, out double bias)) return new(id, bias);
        }
        throw new ArgumentException($"--logit-bias {text} is not ID+BIAS or ID-BIAS");
    }

    private static Option<double> Number(string name, string description, double value, params string[] aliases) => new(name, aliases) { Description = description, DefaultValueFactory = _ => value };
}
