using System.Globalization;

namespace Tare.Capture.Jobs;

/// <summary>Part i of n, from 0.</summary>
/// <param name="Index">i.</param>
/// <param name="Count">n.</param>
public readonly record struct CaptureShard(int Index, int Count)
{
    /// <summary>
    /// What was asked for as <c>i/n</c>, or <c>/n</c> with i from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID; else what SLURM_ARRAY_TASK_ID (less SLURM_ARRAY_TASK_MIN) and SLURM_ARRAY_TASK_COUNT say; else all. Throws
    /// <see cref="ArgumentException"/>.
    /// </summary>
    public static CaptureShard Parse(string? asked, Func<string, string?> environment)
    {
        string? task = environment("SLURM_ARRAY_TASK_ID"), index = environment("JOB_COMPLETION_INDEX") ?? (task is null ? null : $"{Number(task, "SLURM_ARRAY_TASK_ID") - Number(environment("SLURM_ARRAY_TASK_MIN") ?? "0", "SLURM_ARRAY_TASK_MIN")}");
        if (asked is null)
        {
            if (index is null) return new CaptureShard(0, 1);
            asked = environment("SLURM_ARRAY_TASK_COUNT") is { } count && task is not null ? $"{index}/{count}" : throw new ArgumentException("the environment names this part but not how many there are; give --shard /n");
        }
        string[] parts = asked.Split('/');
        if (parts.Length != 2) throw new ArgumentException($"--shard {asked}: give i/n, for example 0/4");
        int i = Number(parts[0].Length > 0 ? parts[0] : index ?? throw new ArgumentException($"--shard {asked}: neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID is set"), "--shard"), n = Number(parts[1], "--shard");
        return n >= 1 && i < n ? new CaptureShard(i, n) : throw new ArgumentException($"--shard {i}/{n}: give 0/n … (n−1)/n");
    }

    private static int Number(string text, string what) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : throw new ArgumentException($"{what} '{text}' is not a number ≥ 0");
}
