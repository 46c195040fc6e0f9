"""The picture of a calibration: what was promised against what came, and where the threshold is."""

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from trainer.figures import INK, MUTED, PALETTE, PAPER, count_axis, drawing, png
from trainer.release.calibration.fitting import Calibrated
from trainer.release.calibration.measures import BINS, bin_of

# In the release's folder, beside the manifest.
CALIBRATION = "calibration.png"

_SCORE_BINS = 40
# Bins of fewer results say little: their points are hollow.
_FEW = 20


def calibration_png(calibrated: Calibrated) -> bytes:
    """Draw the reliability of both curves, and the first results' scores with the threshold.

    Returns:
        A PNG file.
    """
    calibration, results = calibrated.calibration, calibrated.results
    with drawing(10, 4.8) as figure:
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 1))
        reliability = figure.add_subplot(grid[0, 0])
        counts = figure.add_subplot(grid[1, 0], sharex=reliability)
        scores = figure.add_subplot(grid[:, 1])
        reliability.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        for number, (name, which) in enumerate(
            (("first result", results.first), ("later results", ~results.first))
        ):
            probabilities, matches = calibrated.probabilities[which], results.matches[which]
            _draw_reliability(reliability, counts, probabilities, matches, number, name)
        reliability.set_title(
            f"Calibration error of first results {calibration.expected_calibration_error:.1%}"
        )
        reliability.set_ylabel("share that match")
        reliability.legend(loc="upper left")
        reliability.tick_params(labelbottom=False)
        for axis in (reliability.xaxis, reliability.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        counts.set_yscale("log")
        counts.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        counts.yaxis.set_minor_locator(NullLocator())
        counts.set_ylabel("results")
        counts.set_xlabel(f"matchProbability, fitted to other products ({calibration.method})")
        _draw_scores(scores, calibrated)
        return png(figure)


def _draw_reliability(
    reliability: Axes,
    counts: Axes,
    probabilities: Float[np.ndarray, " results"],
    matches: Bool[np.ndarray, " results"],
    number: int,
    name: str,
) -> None:
    bins = bin_of(probabilities)
    size = np.bincount(bins, minlength=BINS)
    (there,) = np.nonzero(size)
    promised = np.bincount(bins, probabilities, minlength=BINS)[there] / size[there]
    came = np.bincount(bins, matches, minlength=BINS)[there] / size[there]
    colour = PALETTE[number]
    reliability.plot(promised, came, color=colour, marker="o", markersize=6, label=name)
    few = size[there] < _FEW
    reliability.plot(
        promised[few], came[few], "o", markersize=6, markeredgecolor=colour, markerfacecolor=PAPER
    )
    width = 0.4 / BINS
    middles = (np.arange(BINS) + 0.5) / BINS + (number - 0.5) * width
    counts.bar(middles, size, width, color=colour)


def _draw_scores(axes: Axes, calibrated: Calibrated) -> None:
    calibration, results = calibrated.calibration, calibrated.results
    first = results[results.first]
    edges = np.linspace(first.scores.min(), max(1.0, first.scores.max()), _SCORE_BINS + 1)
    for present, colour, name in (
        (True, PALETTE[2], "product in the catalogue"),
        (False, PALETTE[5], "product not in it"),
    ):
        height, _ = np.histogram(first.scores[first.present == present], edges)
        axes.stairs(height, edges, fill=True, color=colour, alpha=0.28)
        axes.stairs(height, edges, color=colour, linewidth=1.8, label=name)
    limit = calibration.score_threshold
    axes.axvline(limit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    # Room for the legend above the highest bar.
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    axes.text(limit, 0.75 * axes.get_ylim()[1], f" {limit:.2f}", va="top", ha="left")
    found, mistaken = 1 - calibration.false_non_match_rate, calibration.false_match_rate
    axes.set_title(f"Confident with the product {found:.1%}, without {mistaken:.1%}")
    axes.set_xlabel("score of the first result")
    axes.set_ylabel("photos")
    count_axis(axes.yaxis)
    axes.legend(loc="upper left")
