"""Training curves, each in a small figure of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.ticker import PercentFormatter

from trainer.figures import PALETTE, drawing, inline_svg
from trainer.page import Illustration

MAX_POINTS = 300
"""More points than a small figure has pixels only make the page heavy."""

# Steps of the running median, as a part of all; batches differ, and the trend is what is read.
_SMOOTHING = 25

_SHARES = ("active_share", "input_wait")

# Title, caption, and its curves: key, label, colour.
_FIGURES = (
    ("Loss", "Of the logged batches, and their running median.", (("loss", "", PALETTE[0]),)),
    (
        "Similarity in the batch",
        "Mean cosine of pairs: the farther apart, the better they are told apart.",
        (
            ("positive_similarity", "the same product", PALETTE[2]),
            ("negative_similarity", "different products", PALETTE[5]),
        ),
    ),
    (
        "Anchors that still teach",
        "Share of the batch's photos that the loss moves.",
        (("active_share", "", PALETTE[3]),),
    ),
    (
        "Embedding rank",
        "Directions that hold the batch's variance: the participation ratio (Σλ)² / Σλ².",
        (("embedding_rank", "", PALETTE[3]),),
    ),
    ("Learning rate", "Of the backbone.", (("learning_rate", "", PALETTE[0]),)),
    (
        "Gradient norm",
        "Over all parameters, before clipping.",
        (("gradient_norm", "", PALETTE[0]),),
    ),
    ("Speed", "Photos learned from, each second.", (("photos_per_second", "", PALETTE[1]),)),
    (
        "Waiting for photos",
        "Share of the time that the chip has no input.",
        (("input_wait", "", PALETTE[1]),),
    ),
)


def curve_figures(curves: Sequence[Mapping[str, Any]]) -> list[Illustration]:
    """Draw what was logged; a curve without a point, or a figure without a curve, is left out.

    Args:
        curves: the logged steps in order; any value may be missing or None.
    """
    figures = []
    for title, caption, drawn in _FIGURES:
        points = [(label, colour, _points(curves, key)) for key, label, colour in drawn]
        shown = [(label, colour, values) for label, colour, values in points if len(values)]
        if shown:
            figures.append(_figure(title, caption, shown, share=drawn[0][0] in _SHARES))
    return figures


def _points(curves: Sequence[Mapping[str, Any]], key: str) -> Float64[np.ndarray, "points 2"]:
    """Steps and values, neighbouring ones averaged where there are too many."""
    found = [(row["step"], row[key]) for row in curves if row.get(key) is not None]
    points = np.array(found, np.float64).reshape(-1, 2)
    parts = np.array_split(points, min(len(points), MAX_POINTS)) if len(points) else []
    return np.array([part.mean(axis=0) for part in parts]).reshape(-1, 2)


def running_median(values: Float64[np.ndarray, " points"]) -> Float64[np.ndarray, " points"]:
    """The median of each value and its neighbours; windows are cut at the ends."""
    half = max(1, values.size // _SMOOTHING)
    return np.array(
        [np.median(values[max(0, at - half) : at + half + 1]) for at in range(values.size)]
    )


def _figure(
    title: str,
    caption: str,
    curves: Sequence[tuple[str, str, Float64[np.ndarray, "points 2"]]],
    *,
    share: bool,
) -> Illustration:
    with drawing(4.6, 2.5) as figure:
        axes = figure.subplots()
        for label, colour, points in curves:
            steps, values = points[:, 0], points[:, 1]
            style = "o" if len(points) == 1 else "-"
            if title == "Loss":
                axes.plot(steps, values, style, color=colour, alpha=0.3, linewidth=1)
                values = running_median(values)
            axes.plot(steps, values, style, color=colour, label=label)
        axes.set_title(title)
        axes.set_xlabel("step")
        if any(label for label, _, _ in curves):
            axes.legend(loc="best", fontsize=9)
        low, high = axes.get_ylim()
        axes.set_ylim(min(0.0, low), high)
        if share:
            axes.set_ylim(0, 1.03)
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlim(left=0)
        axes.locator_params(nbins=6)
        image = inline_svg(figure)
    last = ", ".join(f"{label} {points[-1, 1]:.3g}".strip() for label, _, points in curves)
    return Illustration(image, caption, f"{title} by step; at the end {last}.")
