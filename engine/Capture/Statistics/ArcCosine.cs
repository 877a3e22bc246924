using System.Runtime.Intrinsics;

namespace Tare.Capture.Statistics;

/// <summary>
/// arccos on eight lanes: asin s = s · P(s²) for |s| ≤ ½ and arccos x = π/2 − asin x; beyond, arccos x = 2 asin √((1 − x)/2), mirrored for negative x. P interpolates asin(s)/s at 14 Chebyshev nodes of [0, ¼]; the relative error is
/// below 4e-16.
/// </summary>
internal static class ArcCosine
{
    private static readonly double[] Coefficients =
    [
        0.03257934796692842, -0.02093065831518245, 0.02166805886905636, 0.0037180577483250537, 0.010778675120995992, 0.011398850408440755, 0.01398088299217101,
        0.017351600625343435, 0.022372216106072148, 0.030381942642327187, 0.04464285717686322, 0.07499999999966611, 0.16666666666666796, 1.0,
    ];

    /// <summary>Radians of cosines within [−1, 1].</summary>
    public static Vector512<double> Of(Vector512<double> x)
    {
        Vector512<double> magnitude = Vector512.Abs(x), half = Vector512.Create(0.5), near = Vector512.LessThanOrEqual(magnitude, half);
        var square = Vector512.ConditionalSelect(near, x * x, (Vector512<double>.One - magnitude) * half);
        var s = Vector512.ConditionalSelect(near, x, Vector512.Sqrt(square));
        var p = Vector512.Create(Coefficients[0]);
        for (int i = 1; i < Coefficients.Length; i++) p = Vector512.FusedMultiplyAdd(p, square, Vector512.Create(Coefficients[i]));
        var asin = s * p;
        var far = asin + asin;
        far = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<double>.Zero), Vector512.Create(Math.PI) - far, far);
        return Vector512.ConditionalSelect(near, Vector512.Create(Math.PI / 2) - asin, far);
    }
}
