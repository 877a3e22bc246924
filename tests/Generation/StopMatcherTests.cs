using Tare.Generation;

namespace Tare.Tests.Generation;

public sealed class StopMatcherTests
{
    [Fact]
    public void Any_cut_of_a_text_gives_the_text_before_the_first_stop()
    {
        var random = new Random(1);
        for (int n = 0; n < 3000; n++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => "ab\n"[random.Next(3)]));
            string[] stops = [.. Enumerable.Range(0, random.Next(0, 3)).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => "ab\n"[random.Next(3)])))];
            var matcher = new StopMatcher(stops);
            string shown = "";
            bool stopped = false;
            for (int at = 0; at < text.Length && !stopped;)
            {
                int end = Math.Min(text.Length, at + random.Next(1, 4));
                shown += matcher.Push(text[at..end], out stopped);
                at = end;
            }
            if (!stopped) shown += matcher.Flush();
            // The stop that is complete first; of those within one piece, the one that begins first.
            int[] found = [.. stops.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0)];
            stopped.ShouldBe(found.Length > 0);
            if (stops.Length <= 1) shown.ShouldBe(found.Length == 0 ? text : text[..found[0]]);
            else if (found.Length > 0) found.ShouldContain(shown.Length);
            else shown.ShouldBe(text);
        }
    }
}
