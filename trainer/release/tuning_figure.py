"""The picture of an index's tuning: recall against time, for every setting that was measured."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from function.manifest import IndexSetting
from trainer.figures import INK, MUTED, PALETTE, drawing, png
from trainer.release.indexing import BuiltIndex

# In the release's folder, beside the manifest.
TUNING = "tuning.png"


def tuning_png(built: BuiltIndex) -> bytes:
    """Draw what `build_index` measured.

    A line for each type of rows and number reordered: in colours for exact search and the tree that
    is served, or the first tree where none is; in grey for trees of other numbers of leaves.

    Returns:
        A PNG file.
    """
    trees = dict.fromkeys(setting.leaves for setting in built.curve if setting.leaves)
    coloured = built.chosen.leaves or next(iter(trees), 0)
    with drawing(8, 4.5) as figure:
        axes = figure.subplots()
        shown = [setting for setting in built.curve if setting.leaves in (0, coloured)]
        for number, (name, settings) in enumerate(_lines(shown).items()):
            _plot(
                axes,
                settings,
                label=name,
                color=PALETTE[number % len(PALETTE)],
                linestyle=("-", "--")[number // len(PALETTE) % 2],
            )
        for number, leaves in enumerate(leaves for leaves in trees if leaves != coloured):
            others = [setting for setting in built.curve if setting.leaves == leaves]
            for place, settings in enumerate(_lines(others).values()):
                label = None if place else f"with {leaves:,} leaves"
                style = {"linestyle": (":", "-.")[number % 2], "alpha": 0.5, "zorder": 1}
                _plot(axes, settings, label=label, color=MUTED, **style)
        axes.axhline(built.target_recall_at_10, color=MUTED, linewidth=1, linestyle=":")
        axes.plot(
            built.chosen.ms,
            built.chosen.recall_at_10,
            marker="o",
            markersize=13,
            markerfacecolor="none",
            color=INK,
            linestyle="none",
            label="served",
        )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            which(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(LogLocator(subs=()))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1%}"))
        axes.set_xlabel("ms a query")
        axes.set_ylabel("recall at 10")
        axes.set_title(f"Aim: {built.target_recall_at_10:.1%} of the ten nearest rows")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return png(figure)


def _lines(settings: list[IndexSetting]) -> dict[str, list[IndexSetting]]:
    lines: dict[str, list[IndexSetting]] = {}
    for setting in sorted(settings, key=lambda setting: setting.ms):
        lines.setdefault(_name(setting), []).append(setting)
    return lines


def _plot(axes: Axes, settings: list[IndexSetting], **style: Any) -> None:
    axes.plot(
        [setting.ms for setting in settings],
        [setting.recall_at_10 for setting in settings],
        marker="o",
        markersize=4,
        **style,
    )


def _name(setting: IndexSetting) -> str:
    if setting.kind == "exact":
        return f"exact, {setting.megabytes:,.0f} MB"
    return f"{setting.row_type}, {setting.reorder} reordered, {setting.megabytes:,.0f} MB"
