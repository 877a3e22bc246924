using System.Globalization;
using System.Runtime.CompilerServices;

namespace Tare.Tokenizers.PreTokenizers;

/// <summary>
/// A regular expression over code points, for the dialect that tokenizers use: alternatives, groups <c>(…)</c>, <c>(?:…)</c>, <c>(?i:…)</c>, look-ahead <c>(?=…)</c> <c>(?!…)</c>, classes with
/// <c>\p{…}</c> <c>\s</c> <c>\S</c> <c>\d</c> <c>\w</c>, and the quantifiers <c>? * + {m,n}</c>, greedy or possessive (<c>++</c>). The first alternative that matches wins, as in Oniguruma.
/// .NET's own expressions work on UTF-16 units, where letters and digits beyond the basic plane are neither.
/// </summary>
internal sealed class CodePointPattern
{
    private readonly Repeat? _leadingRun;
    private readonly Node[] _choices;
    private readonly FlatPattern?[] _flat;               // [choices], null where one nests deeper
    private readonly uint[] _candidates = new uint[128]; // by first ASCII code point: the choices that may begin with it

    public CodePointPattern(string pattern)
    {
        var root = new Parser(pattern).Parse();
        _leadingRun = (root as Sequence)?.First as Repeat;
        _choices = [.. Choices(root)];
        if (_choices.Length > 32) _choices = [new Alternatives(_choices)];
        _flat = Array.ConvertAll(_choices, Flatten);
        for (int p = 0; p < 128; p++)
            for (int i = 0; i < _choices.Length; i++)
                if (_flat[i]?.MayBeginWith(p) ?? true) _candidates[p] |= 1u << i;
    }

    /// <summary>The end of the match that starts at <paramref name="start"/>, or −1.</summary>
    public int Match(ReadOnlyMemory<int> text, int start)
    {
        var span = text.Span;
        uint left = start < span.Length && (uint)span[start] < 128 ? _candidates[span[start]] : uint.MaxValue >> 32 - _choices.Length;
        for (; left != 0; left &= left - 1)
        {
            int choice = System.Numerics.BitOperations.TrailingZeroCount(left);
            int end = _flat[choice] is { } flat ? flat.Match(span, start) : _choices[choice].Match(text, start, static end => end);
            if (end >= 0) return end;
        }
        return -1;
    }

    /// <summary>
    /// Where to look next after no match at <paramref name="start"/>. A pattern that begins with a run (<c>\s+…</c>) and failed for all its ends fails within that run too, so that a text of n characters costs n and
    /// not n².
    /// </summary>
    public int NextStart(ReadOnlyMemory<int> text, int start) => Math.Max(start + 1, _leadingRun?.RunEnd(text, start) ?? 0);

    /// <summary>Cuts [from, to) of a text into matches and the gaps between them; empty matches are passed over.</summary>
    public void Split(ReadOnlyMemory<int> text, int from, int to, List<(int Start, int End)> pieces)
    {
        var window = text[..to];
        int gap = from;
        for (int at = from; at < to;)
        {
            int end = Match(window, at);
            if (end <= at)
            {
                at = end < 0 ? NextStart(window, at) : at + 1;
                continue;
            }
            if (gap < at) pieces.Add((gap, at));
            pieces.Add((at, end));
            gap = at = end;
        }
        if (gap < to) pieces.Add((gap, to));
    }

    // Alternatives within alternatives are as good as one list.
    private static IEnumerable<Node> Choices(Node node) => node is Alternatives alternatives ? alternatives.Choices.SelectMany(Choices) : [node];

    private static FlatPattern? Flatten(Node node)
    {
        var steps = new List<FlatPattern.Step>();
        foreach (var part in node is Sequence sequence ? sequence.Parts : [node])
            switch (part)
            {
                case Single single: steps.Add(new(single.Set, 1, 1, false)); break;
                case Repeat { Inner: Single single } repeat: steps.Add(new(single.Set, repeat.Minimum, repeat.Maximum, repeat.IsPossessive)); break;
                case LookAhead ahead when Flatten(ahead.Inner) is { } inner: steps.Add(new(inner, ahead.IsWanted)); break;
                default: return null;
            }
        return new FlatPattern([.. steps]);
    }

    private abstract class Node
    {
        /// <summary>Matches at a position and asks the continuation for the end of the whole; −1 = no match.</summary>
        public abstract int Match(ReadOnlyMemory<int> text, int at, Func<int, int> next);
    }

    private sealed class Single(Func<int, bool> accepts) : Node
    {
        public CodePointSet Set { get; } = new(accepts);

        public bool Accepts(int codePoint) => Set.Contains(codePoint);

        public override int Match(ReadOnlyMemory<int> text, int at, Func<int, int> next) => at < text.Length && Accepts(text.Span[at]) ? next(at + 1) : -1;
    }

    private sealed class Sequence(Node[] parts) : Node
    {
        public Node? First => parts.Length == 0 ? null : parts[0];

        public Node[] Parts => parts;

        public override int Match(ReadOnlyMemory<int> text, int at, Func<int, int> next) => From(0, text, at, next);

        private int From(int index, ReadOnlyMemory<int> text, int at, Func<int, int> next)
            => index == parts.Length ? next(at) : index == parts.Length - 1 ? parts[index].Match(text, at, next) : parts[index].Match(text, at, end => From(index + 1, text, end, next));
    }

    private sealed class Alternatives(Node[] choices) : Node
    {
        public Node[] Choices => choices;

        public override int Match(ReadOnlyMemory<int> text, int at, Func<int, int> next)
        {
            foreach (var choice in choices)
                if (choice.Match(text, at, next) is >= 0 and int end) return end;
            return -1;
        }
    }

    private sealed class LookAhead(Node inner, bool wanted) : Node
    {
        public Node Inner => inner;

        public bool IsWanted => wanted;

        public override int Match(ReadOnlyMemory<int> text, int at, Func<int, int> next) => inner.Match(text, at, static end => end) >= 0 == wanted ? next(at) : -1;
    }

    // A repeated single code point is a loop, so that runs of any length neither recurse nor allocate.
    private sealed class Repeat(Node inner, int minimum, int maximum, bool possessive) : Node
    {
        public Node Inner => inner;

        public int Minimum => minimum;

        public int Maximum => maximum;

        public bool IsPossessive => possessive;

        public override int Match(ReadOnlyMemory<int> text, int at, Func<int, int> next)
        {
            if (inner is not Single single) return Groups(text, at, 0, next);
            var span = text.Span;
            int end = at, limit = (int)Math.Min((long)at + maximum, span.Length);
            while (end < limit && single.Accepts(span[end])) end++;
            for (int stop = end; stop >= at + minimum; stop--)
            {
                if (next(stop) is >= 0 and int found) return found;
                if (possessive) break;
            }
            return -1;
        }

        /// <summary>The end of the unbounded run of single code points at a position; the position itself for other repetitions.</summary>
        public int RunEnd(ReadOnlyMemory<int> text, int at)
        {
            if (inner is not Single single || minimum > 1 || maximum < int.MaxValue || possessive) return at;
            var span = text.Span;
            while (at < span.Length && single.Accepts(span[at])) at++;
            return at;
        }

        private int Groups(ReadOnlyMemory<int> text, int at, int count, Func<int, int> next)
        {
            if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new ArgumentException($"a repeated group of a pre-tokenizer's expression matches too long a text (more than {count} times)");
            if (count < maximum && inner.Match(text, at, end => end == at ? -1 : Groups(text, end, count + 1, next)) is >= 0 and int found) return found;
            return count >= minimum ? next(at) : -1;
        }
    }

    private sealed class Parser(string pattern)
    {
        private int _at;
        private bool _ignoreCase;

        public Node Parse()
        {
            var node = Choice();
            return _at == pattern.Length ? node : throw Fault("')' without '('");
        }

        private Node Choice()
        {
            var choices = new List<Node> { Concatenation() };
            while (Take('|')) choices.Add(Concatenation());
            return choices.Count == 1 ? choices[0] : new Alternatives([.. choices]);
        }

        private Node Concatenation()
        {
            var parts = new List<Node>();
            while (_at < pattern.Length && pattern[_at] is not ('|' or ')')) parts.Add(Quantified(Atom()));
            return parts.Count == 1 ? parts[0] : new Sequence([.. parts]);
        }

        private Node Quantified(Node atom)
        {
            var (minimum, maximum) = (1, 1);
            if (Take('?')) (minimum, maximum) = (0, 1);
            else if (Take('*')) (minimum, maximum) = (0, int.MaxValue);
            else if (Take('+')) (minimum, maximum) = (1, int.MaxValue);
            else if (_at < pattern.Length && pattern[_at] == '{')
            {
                int close = pattern.IndexOf('}', _at);
                string[] bounds = close < 0 ? throw Fault("'{' without '}'") : pattern[(_at + 1)..close].Split(',');
                if (bounds.Length > 2 || !int.TryParse(bounds[0], NumberStyles.None, CultureInfo.InvariantCulture, out minimum)) throw Fault("bad {m,n}");
                maximum = bounds.Length == 1 ? minimum : bounds[1].Length == 0 ? int.MaxValue : int.TryParse(bounds[1], NumberStyles.None, CultureInfo.InvariantCulture, out int upper) ? upper : throw Fault("bad {m,n}");
                _at = close + 1;
            }
            else return atom;
            if (_at < pattern.Length && pattern[_at] == '?') throw Fault("lazy quantifiers are not known");
            return new Repeat(atom, minimum, maximum, possessive: Take('+'));
        }

        private Node Atom()
        {
            char c = pattern[_at];
            if (c == '(') return Group();
            if (c == '[') return new Single(Class());
            if (c is '^' or '$') throw Fault($"'{c}' is not known");
            if (c is '?' or '*' or '+') throw Fault($"'{c}' repeats nothing");
            if (c == '.')
            {
                _at++;
                return new Single(static p => p != '\n');
            }
            return new Single(c == '\\' ? Escape(out int literal) ?? Literal(literal) : Literal(NextCodePoint()));
        }

        private Node Group()
        {
            _at++;
            bool outer = _ignoreCase;
            int kind = 0; // 0 plain, 1 positive, 2 negative look-ahead
            if (Take("?i:")) _ignoreCase = true;
            else if (Take("?=")) kind = 1;
            else if (Take("?!")) kind = 2;
            else if (!Take("?:") && _at < pattern.Length && pattern[_at] == '?') throw Fault("this kind of group is not known");
            var inner = Choice();
            if (!Take(')')) throw Fault("'(' without ')'");
            _ignoreCase = outer;
            return kind == 0 ? inner : new LookAhead(inner, kind == 1);
        }

        private Func<int, bool> Class()
        {
            _at++;
            bool negated = Take('^');
            var parts = new List<Func<int, bool>>();
            for (bool first = true; ; first = false)
            {
                if (_at >= pattern.Length) throw Fault("'[' without ']'");
                if (pattern[_at] == ']' && !first) break;
                int low;
                if (pattern[_at] == '\\')
                {
                    if (Escape(out low) is { } set)
                    {
                        parts.Add(set);
                        continue;
                    }
                }
                else low = NextCodePoint();
                if (_at + 1 < pattern.Length && pattern[_at] == '-' && pattern[_at + 1] != ']')
                {
                    _at++;
                    int high;
                    if (pattern[_at] == '\\')
                    {
                        if (Escape(out high) is not null) throw Fault("a range ends in a class");
                    }
                    else high = NextCodePoint();
                    if (high < low) throw Fault("a range runs backwards");
                    parts.Add(p => p >= low && p <= high);
                }
                else parts.Add(Literal(low));
            }
            _at++;
            Func<int, bool>[] all = [.. parts];
            return p =>
            {
                foreach (var part in all)
                    if (part(p)) return !negated;
                return negated;
            };
        }

        // A class such as \p{L}, or null and a literal.
        private Func<int, bool>? Escape(out int literal)
        {
            _at++;
            if (_at >= pattern.Length) throw Fault("ends in '\\'");
            char c = pattern[_at++];
            literal = c switch { 'n' => '\n', 'r' => '\r', 't' => '\t', 'f' => '\f', 'v' => '\v', _ => c };
            switch (c)
            {
                case 's': return CodePoints.IsWhiteSpace;
                case 'S': return static p => !CodePoints.IsWhiteSpace(p);
                case 'd': return CodePoints.Category("Nd");
                case 'D': return Not(CodePoints.Category("Nd")!);
                case 'w': return static p => p == '_' || CodePoints.IsWord(p);
                case 'W': return static p => p != '_' && !CodePoints.IsWord(p);
                case 'p' or 'P':
                    int close = _at < pattern.Length && pattern[_at] == '{' ? pattern.IndexOf('}', _at) : -1;
                    if (close < 0) throw Fault("\\p without {…}");
                    string name = pattern[(_at + 1)..close];
                    var category = CodePoints.Category(name) ?? throw Fault($"\\p{{{name}}} is not known");
                    _at = close + 1;
                    return c == 'p' ? category : Not(category);
                case 'u' or 'x':
                    int digits = c == 'u' ? 4 : 2;
                    if (_at + digits > pattern.Length || !int.TryParse(pattern.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out literal)) throw Fault($"bad \\{c}");
                    _at += digits;
                    return null;
                default: return char.IsAsciiLetterOrDigit(c) && c is not ('n' or 'r' or 't' or 'f' or 'v') ? throw Fault($"\\{c} is not known") : null;
            }
        }

        private Func<int, bool> Literal(int wanted)
        {
            if (!_ignoreCase) return p => p == wanted;
            int folded = CodePoints.Fold(wanted);
            return p => CodePoints.Fold(p) == folded;
        }

        private static Func<int, bool> Not(Func<int, bool> set) => p => !set(p);

        private int NextCodePoint()
        {
            int codePoint = char.ConvertToUtf32(pattern, _at);
            _at += codePoint > 0xFFFF ? 2 : 1;
            return codePoint;
        }

        private bool Take(char c) => Take(c.ToString());

        private bool Take(string text)
        {
            if (string.CompareOrdinal(pattern, _at, text, 0, text.Length) != 0) return false;
            _at += text.Length;
            return true;
        }

        private FormatException Fault(string problem) => new($"pattern {pattern}: {problem} at {_at}");
    }
}
