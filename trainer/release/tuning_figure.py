"""The picture of an index's tuning: recall against time, for every setting that was measured."""

from matplotlib.ticker import FuncFormatter, LogLocator

from function.manifest import IndexSetting
from trainer.figures import INK, MUTED, PALETTE, drawing, png
from trainer.release.indexing import BuiltIndex

# In the release's folder, beside the manifest.
TUNING = "tuning.png"


def tuning_png(built: BuiltIndex) -> bytes:
    """Draw what `build_index` measured, a line for each type of rows and number reordered.

    Returns:
        A PNG file.
    """
    lines: dict[str, list[IndexSetting]] = {}
    for setting in built.curve:
        lines.setdefault(_name(setting), []).append(setting)
    with drawing(8, 4.5) as figure:
        axes = figure.subplots()
        for number, (name, settings) in enumerate(lines.items()):
            settings.sort(key=lambda setting: setting.ms)
            axes.plot(
                [setting.ms for setting in settings],
                [setting.recall_at_10 for setting in settings],
                label=name,
                color=PALETTE[number % len(PALETTE)],
                linestyle=("-", "--")[number // len(PALETTE) % 2],
                marker="o",
                markersize=4,
            )
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


def _name(setting: IndexSetting) -> str:
    if setting.kind == "exact":
        return f"exact, {setting.megabytes:,.0f} MB"
    return f"{setting.row_type}, {setting.reorder} reordered, {setting.megabytes:,.0f} MB"
