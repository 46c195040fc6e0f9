"""What the network takes for what: the category of each wrong photo that came first."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from trainer.figures import PALETTE, drawing, inline_svg

MATRIX_CATEGORIES = 14
"""More would not be legible as a matrix; the pairs are listed alone."""

type Pairs = Counter[tuple[str, str]]


def confusions(asked: Sequence[str], answered: Sequence[str]) -> Pairs:
    """Count (the query's category, the category of the wrong photo that came first).

    Args:
        asked: the category of each failed query; "" where it has none, which is left out.
        answered: of its nearest photo.
    """
    return Counter(pair for pair in zip(asked, answered, strict=True) if all(pair))


def confusion_matrix(pairs: Pairs, queries: Counter[str]) -> Markup:
    """Draw the counts: rows the query's category, columns the wrong answer's.

    Args:
        pairs: as `confusions` gives them; at most `MATRIX_CATEGORIES` categories.
        queries: how many were asked, right ones too, by category.
    """
    names = sorted({*queries, *(name for pair in pairs for name in pair)})
    counts = np.array([[pairs[row, column] for column in names] for row in names])
    asked = np.array([max(1, queries[row]) for row in names])
    shares = counts / asked[:, None]
    size = len(names)
    with drawing(min(8.6, 2.6 + 0.52 * size), 1.5 + 0.36 * size) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        highest = shares.max(initial=0) or 1.0
        for row, column in np.ndindex(size, size):
            alpha = float(0.75 * shares[row, column] / highest)
            axes.fill_between(
                [column - 0.47, column + 0.47],
                row - 0.46,
                row + 0.46,
                color=PALETTE[0] if row == column else PALETTE[5],
                alpha=alpha,
                linewidth=0,
            )
            if counts[row, column]:
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center")
        labels = [name if len(name) <= 22 else name[:21] + "…" for name in names]
        axes.set_xticks(range(size), labels, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(
            range(size),
            [f"{label}  ({queries[name]:,})" for label, name in zip(labels, names, strict=True)],
        )
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        return inline_svg(figure)
