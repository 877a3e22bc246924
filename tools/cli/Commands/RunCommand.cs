using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Tare.Execution;
using Tare.Generation;
using Tare.Rewrites;

namespace Tare.Cli.Commands;

/// <summary><c>tare run</c>: goes on with a prompt. Text streams to stdout; with <c>--json</c> one object comes at the end.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var model = new Option<string?>("-m", "--model") { Description = "A .gguf, a .safetensors or a checkpoint folder (default: the bundled story model)." };
        var argument = new Argument<string?>("prompt") { Description = "The text to go on with; - reads it from stdin.", Arity = ArgumentArity.ZeroOrOne };
        var prompt = new Option<string?>("-p", "--prompt") { Description = "The prompt, as an option." };
        var count = new Option<int>("-n", "--predict") { Description = "Most tokens to generate; -1 = until the model ends or the context is full.", DefaultValueFactory = _ => -1 };
        var context = new Option<int?>("-c", "--ctx-size") { Description = "Context in tokens (default: the model's, at most 4096)." };
        var stop = new Option<string[]>("-r", "--stop") { Description = "End the text before this string; may be repeated." };
        var ignore = new Option<bool>("--ignore-eos") { Description = "Go on after a token that ends generation." };
        var quiet = new Option<bool>("--no-display-prompt") { Description = "Print what is generated only." };
        Option<bool> json = SharedOptions.Json(), noMap = SharedOptions.NoMap();
        Option<string> precision = SharedOptions.Precision(SharedOptions.Fast);
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType();
        Option<int> threads = SharedOptions.Threads();
        var sampling = new SamplingFlags();
        var norm = SharedOptions.Norm();
        var command = new Command("run", "Go on with a prompt.") { argument, model, prompt, count, context, stop, ignore, quiet, json, precision, norm, keyType, valueType, threads, noMap };
        sampling.AddTo(command);
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(async () =>
        {
            int tokens = arguments.GetValue(count);
            if (tokens is < -1 or 0) throw new UsageException($"-n {tokens}: give at least 1, or -1 for no limit");
            string text = Prompt(arguments.GetValue(argument), arguments.GetValue(prompt));
            var options = new GenerationOptions { MaxTokens = tokens < 0 ? null : tokens, Stop = [.. arguments.GetValue(stop) ?? []], IgnoreEnd = arguments.GetValue(ignore), Sampling = sampling.Read(arguments) };
            var edited = edits.Read(arguments);
            var clock = Stopwatch.StartNew();
            string backend = arguments.GetValue(precision)!;
            int threadCount = arguments.GetValue(threads);
            await using var loaded = await Model.LoadAsync(arguments.GetValue(model) ?? BundledModel(), new ModelOptions
            {
                Context = arguments.GetValue(context),
                Sequences = 1,
                Map = !arguments.GetValue(noMap),
                Norms = arguments.GetValue(norm) is { } target ? NormRewrites.Targets[target] : null,
                Rewrite = graph => SharedOptions.Graph(backend, graph, arguments.GetValue(keyType), arguments.GetValue(valueType)),
                Backend = () => SharedOptions.Backend(backend, threadCount),
            }, new LoadReport(), cancel);
            Progress.End();
            double load = clock.Elapsed.TotalSeconds;
            return await Generate(loaded, text, options with { Edits = [.. edited(loaded.Graph.Blocks)] }, load, arguments.GetValue(json), arguments.GetValue(quiet), cancel);
        }));
        return command;
    }

    private static async Task<int> Generate(Model model, string text, GenerationOptions options, double load, bool json, bool quiet, CancellationToken cancel)
    {
        using var session = model.CreateSession();
        int[] prompt = model.Tokenizer.Encode(text);
        if (prompt.Length == 0 && model.Tokenizer.BeginningOfSequence is int beginning) prompt = [beginning];
        var ids = new List<int>();
        var generated = new StringBuilder();
        GeneratedPiece? last = null;
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true };
        try
        {
            await foreach (var piece in session.GenerateAsync(prompt, options, cancel))
            {
                if (last is null && !json && !quiet) await output.WriteAsync(text); // not before the request was taken: a refusal prints nothing here
                last = piece;
                if (piece.Id is int id) ids.Add(id);
                generated.Append(piece.Text);
                if (!json) await output.WriteAsync(piece.Text);
            }
        }
        catch (OperationCanceledException) when (!json)
        {
            await output.WriteLineAsync();
            throw;
        }
        var timings = last!.Timings!;
        if (json)
            await output.WriteLineAsync(JsonSerializer.Serialize(new
            {
                prompt_ids = prompt,
                ids,
                text = generated.ToString(),
                finish_reason = last.Finish switch { FinishReason.Stop => "stop", FinishReason.Length => "length", _ => "context_full" },
                timings = new
                {
                    load_seconds = load,
                    prompt_tokens = timings.PromptTokens,
                    prompt_seconds = timings.PromptSeconds,
                    prompt_per_second = timings.PromptTokens / timings.PromptSeconds,
                    generated_tokens = timings.GeneratedTokens,
                    generation_seconds = timings.GenerationSeconds,
                    generated_per_second = timings.GeneratedTokens > 1 ? (timings.GeneratedTokens - 1) / timings.GenerationSeconds : 0,
                },
            }));
        else await output.WriteLineAsync();
        await Console.Error.WriteLineAsync($"tare: {timings.PromptTokens} prompt tokens in {timings.PromptSeconds:F2} s, {timings.GeneratedTokens} generated in {timings.GenerationSeconds:F2} s"
            + (timings.GeneratedTokens > 1 ? $" ({(timings.GeneratedTokens - 1) / timings.GenerationSeconds:F1} tokens/s)" : ""));
        if (last.Finish != FinishReason.ContextFull) return 0;
        await Console.Error.WriteLineAsync($"tare: the context of {model.Context} tokens is full (-c gives another size)");
        return options.MaxTokens is null ? 0 : 1;
    }

    private static string Prompt(string? argument, string? option)
    {
        if (argument is not null && option is not null) throw new UsageException("run: give the prompt once, as an argument or with -p");
        string? text = argument ?? option;
        return text == "-" ? StandardInput.ReadText() : text ?? "";
    }

    /// <summary>The model that ships with the command.</summary>
    private static string BundledModel() => Path.Combine(AppContext.BaseDirectory, "models", "fable-ln.F16.gguf");
}

/// <summary>Shows how far loading is.</summary>
internal sealed class LoadReport : IProgress<LoadProgress>
{
    public void Report(LoadProgress value) => Progress.Show("loading", value.DoneBytes >> 20, value.TotalBytes >> 20);
}
