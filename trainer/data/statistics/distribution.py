"""How photos are spread over products and super-classes, as one figure."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.figures import MUTED, PALETTE, count_axis, drawing, shortened

WIDTH_INCHES = 8.5
HISTOGRAM_HEIGHT_INCHES = 3.2
BAR_HEIGHT_INCHES = 0.24
LONGEST_NAME_INCHES = 2.4
# More would not be read.
SHOWN_CATEGORIES = 40
_BINS = 40


def class_distribution(summary: Mapping[str, Any]) -> Figure:
    """Draw photos per product as a histogram, and photos of each super-class as bars below it.

    Args:
        summary: what `summarise` returned.
    """
    categories = summary["by_category"][:SHOWN_CATEGORIES]
    bars_height = 0.9 + BAR_HEIGHT_INCHES * len(categories) if categories else 0
    with drawing(WIDTH_INCHES, HISTOGRAM_HEIGHT_INCHES + bars_height) as figure:
        if categories:
            above, below = figure.subplots(
                2, 1, height_ratios=(HISTOGRAM_HEIGHT_INCHES, bars_height)
            )
            _bars(below, categories, summary["by_category"][SHOWN_CATEGORIES:])
        else:
            above = figure.subplots()
        _histogram(above, summary)
    return figure


def _histogram(axes: Axes, summary: Mapping[str, Any]) -> None:
    counts = {int(key): value for key, value in summary["products_by_photo_count"].items()}
    axes.set_xlabel("photos of one product")
    axes.set_ylabel("products")
    count_axis(axes.xaxis)
    count_axis(axes.yaxis)
    axes.grid(axis="x", visible=False)
    if not counts:
        axes.set_axis_off()
        axes.text(0, 0.5, "No photo names a product.", transform=axes.transAxes, color=MUTED)
        return
    widest = max(counts)
    step = max(1, -(-widest // _BINS))
    edges = [place + 0.5 for place in range(0, widest + step, step)]
    axes.hist(list(counts), edges, weights=list(counts.values()), color=PALETTE[0], rwidth=0.9)
    axes.set_xlim(0.5, max(edges[-1], 5.5))
    median = summary["photos_per_product"]["median"]
    axes.axvline(median, color=PALETTE[5], linestyle="--")
    axes.set_title(f"Photos per product (dashed: the median, {median:,})")


def _bars(
    axes: Axes, categories: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> None:
    places = range(len(categories))
    photos = [row["photos"] for row in categories]
    title = f"Photos of each super-class ({len(categories):,})"
    if others:
        total = sum(row["photos"] for row in others)
        title = (
            f"Photos of the {len(categories)} largest super-classes; "
            f"{len(others):,} others have {total:,}"
        )
    axes.set_title(title)
    bars = axes.barh(places, photos, height=0.72, color=PALETTE[0])
    axes.bar_label(
        bars,
        [
            f"{row['photos']:,} of {row['products']:,} products"
            if row["products"]
            else f"{row['photos']:,}"
            for row in categories
        ],
        padding=4,
        color=MUTED,
        fontsize=8,
    )
    names = [shortened(row["category"], LONGEST_NAME_INCHES) for row in categories]
    axes.set_yticks(places, names)
    axes.tick_params("y", length=0)
    axes.set_ylim(len(categories) - 0.4, -0.6)
    # Room for the label of the longest bar; lines of a grid would cross it.
    axes.set_xlim(0, max(photos) * 1.35)
    axes.grid(visible=False)
    axes.set_xlabel("photos")
    count_axis(axes.xaxis)
