"""How often the right product is found: beside baselines, by category, and as served."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from trainer.evaluation.attribution import STEPS
from trainer.evaluation.report.material import Material
from trainer.figures import INK, MUTED, PALETTE, drawing, inline_svg
from trainer.page import Block, Cell, Illustration, Section, Table, Text

TASKS = {"query_to_catalog": "photo → catalogue", "leave_one_out": "leave-one-out"}
_DEPTHS = (1, 5, 10, 100)
# Taller figures are not read; the rest stands in the table.
_SHOWN_CATEGORIES = 24

_WHAT_STEPS_ARE = {
    "trained": "the trained network, exact search",
    "export": "the release's program",
    "quantisation": "quantised scores, all leaves",
    "pruning": "the leaves that are searched",
    "reordering": "best scores computed again",
}


def recall_section(material: Material) -> Section:
    """Recalls with their intervals, baselines beside them."""
    evaluation = material.evaluation
    if evaluation is None or material.figures is None:
        return Section("Recall", (Text(not_evaluated(material.url)),))
    rows: list[tuple[Cell, ...]] = []
    for task, label in TASKS.items():
        for name, measured in {"this run": evaluation, **material.baselines}.items():
            if measured[task]:
                title = f"{label}: {name.replace('_', ' ')}"
                rows.append((title, *_cells(measured[task])))
    columns = ("", "R@1", "95 %", "R@5", "R@10", "R@100", "MAP@R", "R-precision", "queries")
    ties = material.figures["optimistic"]["recall_at_1"] - material.figures["recall_at_1"]
    blocks: list[Block] = [
        Illustration(
            _recall_figure(material),
            f"{TASKS[material.task].capitalize()}: the share of queries whose product is among "
            "the first k photos. Bars are 95 % intervals, from resampled products.",
            "Recall at 1, 5, 10 and 100 of this run and of the baselines; figures below.",
        ),
        Table(columns, rows),
        Text(
            f"Measured after step {evaluation['step']:,} on {evaluation['products']:,} products "
            f"that were never trained on, {evaluation['photos']:,} photos of "
            f"{evaluation['catalog_name']}. Among equal cosines, photos of other products count as "
            f"first; the other way round R@1 would be {ties:.1%} higher."
            if ties >= 0.0005
            else f"Measured after step {evaluation['step']:,} on {evaluation['products']:,} "
            f"products that were never trained on, {evaluation['photos']:,} photos of "
            f"{evaluation['catalog_name']}. No ties matter."
        ),
    ]
    return Section("Recall", blocks)


def category_section(figures: Mapping[str, Any]) -> Section | None:
    """R@1 for each category; None where fewer than two are known."""
    categories = sorted(figures["by_category"], key=lambda row: row["recall_at_1"])
    if len(categories) < 2:
        return None
    table = Table(
        ("category", "R@1", "95 %", "MAP@R", "products", "queries"),
        [
            (
                row["category"],
                _percent(row["recall_at_1"]),
                _interval(row["confidence_95"]["recall_at_1"]),
                _percent(row["map_at_r"]),
                row["products"],
                row["queries"],
            )
            for row in categories
        ],
    )
    shown = categories[:_SHOWN_CATEGORIES]
    caption = "R@1 with its 95 % interval, the hardest first; all search the whole gallery."
    if len(shown) < len(categories):
        caption += f" The hardest {len(shown)} of {len(categories)}; the table has all."
    figure = Illustration(
        _category_figure(shown, figures["recall_at_1"]), caption, "R@1 of each category, as below."
    )
    return Section("By category", (figure, table))


def served_section(served: Mapping[str, Any] | None) -> Section | None:
    """What a release answers, and where it falls behind; None where none was measured."""
    if served is None:
        return None
    rows: list[tuple[Cell, ...]] = []
    for step in STEPS:
        label, figures = _WHAT_STEPS_ARE[step], served["steps"][step]
        if figures is None:
            rows.append((step, "exact index: no such step", *[None] * 6))
        else:
            changes = (None, None) if step == "trained" else _changes(figures)
            recalls = (_percent(figures[f"recall_at_{k}"]) for k in (1, 5, 10))
            rows.append((step, label, *recalls, *changes, _percent(figures["neighbours_at_10"])))
    rows.append(("whole gap", "", None, None, None, *_changes(served["steps"]["whole"]), None))
    sample = (
        f"a sample of {served['queries']:,} of {served['queries_available']:,} queries"
        if served["queries"] < served["queries_available"]
        else f"{served['queries']:,} queries"
    )
    exact = (
        " Its index is exact: quantisation, pruning and reordering cost nothing, for there is none."
        if served["steps"]["quantisation"] is None
        else ""
    )
    return Section(
        "As served",
        (
            Text(
                f"Release {served['release']}, {TASKS[served['task']]}: {sample} of unseen "
                f"products among all {served['products']:,} products of the release, so that "
                "figures are lower than above. Recall counts products, each at the place of its "
                f"nearest photo, as the function answers.{exact}"
            ),
            Table(
                (
                    *("step", "", "R@1", "R@5", "R@10"),
                    *("found at 1", "lost at 1", "neighbours at 10"),
                ),
                rows,
                caption="Each step is charged the queries it changes; together they are the whole "
                "gap. Neighbours: the share of the trained network's first ten products.",
            ),
        ),
    )


def not_evaluated(url: str) -> str:
    """Say how to come to figures."""
    return (
        "Nothing was measured yet: lookalike evaluate --run RUN --catalog CATALOG, or lookalike "
        f"report with --catalog. The run: {url}"
    )


def _recall_figure(material: Material) -> Markup:
    of = {"this run": material.evaluation, **material.baselines}
    measured = [
        (name.replace("_", " "), figures[material.task]) for name, figures in of.items() if figures
    ]
    colours = (PALETTE[0], PALETTE[4], PALETTE[1], PALETTE[3])
    width = 0.8 / len(measured)
    with drawing(8.6, 2.6) as figure:
        axes = figure.subplots()
        for number, (name, figures) in enumerate(measured):
            at = [place + (number - (len(measured) - 1) / 2) * width for place in range(4)]
            heights = [figures[f"recall_at_{k}"] or 0.0 for k in _DEPTHS]
            colour = colours[number % len(colours)]
            axes.bar(at, heights, width * 0.92, color=colour, label=name)
            for x, height, k in zip(at, heights, _DEPTHS, strict=True):
                low, high = figures["confidence_95"][f"recall_at_{k}"]
                if low is not None:
                    axes.plot([x, x], [low, high], color=INK, linewidth=1.4)
                axes.text(
                    x, max(height, high or 0.0) + 0.015, f"{height:.0%}", ha="center", fontsize=9
                )
        axes.set_xticks(range(4), [f"R@{k}" for k in _DEPTHS])
        axes.set_ylim(0, 1.12)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
        axes.grid(visible=False, axis="x")
        figure.legend(loc="outside upper left", ncols=4)
        return inline_svg(figure)


def _category_figure(rows: Sequence[Mapping[str, Any]], average: float) -> Markup:
    with drawing(8.6, 0.9 + 0.27 * len(rows)) as figure:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            low, high = row["confidence_95"]["recall_at_1"]
            if low is not None:
                axes.plot([low, high], [place, place], color=PALETTE[4], linewidth=5, alpha=0.55)
            axes.plot([row["recall_at_1"]], [place], "o", color=PALETTE[0])
        axes.axvline(average, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(average, -0.9, f" all {average:.0%}", color=MUTED, va="center", fontsize=9)
        names = [row["category"] for row in rows]
        labels = [name if len(name) <= 28 else name[:27] + "…" for name in names]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.5, -1.3)
        axes.set_xlim(0, 1.02)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        return inline_svg(figure)


def _cells(figures: Mapping[str, Any]) -> Iterator[Cell]:
    yield _percent(figures["recall_at_1"])
    yield _interval(figures["confidence_95"]["recall_at_1"])
    for name in ("recall_at_5", "recall_at_10", "recall_at_100", "map_at_r", "r_precision"):
        yield _percent(figures[name])
    yield figures["queries"]


def _changes(figures: Mapping[str, Any]) -> tuple[int, int]:
    return figures["gained_at_1"], figures["lost_at_1"]


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _interval(ends: Sequence[float | None]) -> str | None:
    low, high = ends
    return None if low is None or high is None else f"{100 * low:.1f}–{high:.1%}"
