"""`lookalike evaluate`: how good a run's network is on products that it never saw."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from trainer.cli.options import OnBadPhoto
from trainer.cli.output import print_json
from trainer.progress import console


@dataclass(frozen=True)
class Evaluate:
    """Measure how often the right product comes first, on products the run never saw.

    On another catalogue than the run's own, all of it is used.
    """

    run: str
    """The run to evaluate: a folder or gs://bucket/prefix."""
    catalog: str
    """Folder, tar, CSV, JSON Lines or Parquet file; all but tars also on gs://."""
    root: str | None = None
    """Measure the release that is current here too, and where it falls behind exact search."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    by_category: bool = False
    """Print a line for each category besides."""
    conventions: bool = False
    """Score the same vectors as other libraries and papers do, besides."""
    json: bool = False
    """Print the results as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Evaluate and print."""
        from trainer.data.catalog import open_catalog
        from trainer.evaluation.evaluate import evaluate
        from trainer.evaluation.served import served_recall

        catalog = open_catalog(self.catalog)
        results = evaluate(
            self.run, catalog, on_bad_photo=self.on_bad_photo, conventions=self.conventions
        )
        if self.root is not None:
            # What is unreadable was listed, or refused, just before.
            results["served"] = served_recall(self.run, catalog, self.root)
        if self.json:
            print_json(results)
        else:
            Console().print(metrics_table(results, by_category=self.by_category))
            if self.root is not None:
                Console().print(served_table(results["served"]))
            for task, scores in results.get("conventions", {}).items():
                if scores:
                    Console().print(conventions_table(scores, f"Conventions: {_TASKS[task]}"))
            console.print(f"In {self.run}: the figures as JSON, and pictures as retrieval*.png")


def metrics_table(results: Mapping[str, Any], *, by_category: bool = False) -> Table:
    """The figures for people: R@1 with its 95 % interval, both ends where ties leave one open."""
    columns = ("", "R@1", "95 %", "R@5", "R@10", "R@100", "MAP@R", "Queries")
    table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in table.columns[1:]:
        column.no_wrap, column.justify = True, "right"
    for key, label in _TASKS.items():
        if metrics := results[key]:
            table.add_row(label, *_cells(metrics))
            table.add_row("  per product", *_cells(metrics["per_product"]))
            for category in metrics["by_category"] if by_category else ():
                table.add_row(f"  {category['category']}", *_cells(category))
    return table


def conventions_table(scores: Mapping[str, Mapping[str, Any]], title: str) -> Group:
    """What the same ranking earns under each convention, and below it the rules of each."""
    from trainer.evaluation.conventions import CONVENTIONS

    table = Table("", *_CONVENTION_COLUMNS, title=title, title_justify="left", box=SIMPLE_HEAD)
    table.show_edge, table.pad_edge, table.collapse_padding = False, False, True
    for column in table.columns[1:]:
        column.no_wrap, column.justify = True, "right"
    for name, figures in scores.items():
        cells = (
            _percent(*figures.get(figure, (None, None))) for figure in _CONVENTION_COLUMNS.values()
        )
        table.add_row(CONVENTIONS[name].label, *cells)
    rules = "\n".join(f"{rule.label.strip()}: {rule.rules}" for rule in CONVENTIONS.values())
    return Group(table, Text(f"\n{rules}", style="dim"))


_CONVENTION_COLUMNS = {
    "R@1": "recall_at_1",
    "R@10": "recall_at_10",
    "R-prec.": "r_precision",
    "MAP@R": "map_at_r",
    "P@10": "precision_at_10",
    "MAP@10": "map_at_10",
}
_TASKS = {"query_to_catalog": "photo → catalogue", "leave_one_out": "leave-one-out"}
_SHOWN = ("recall_at_1", "recall_at_5", "recall_at_10", "recall_at_100", "map_at_r")


def _cells(figures: Mapping[str, Any]) -> Iterator[str]:
    for name in _SHOWN:
        yield _percent(figures.get(name), figures["optimistic"].get(name))
        if name == "recall_at_1":
            yield _percent(*figures["confidence_95"][name])
    yield f"{figures['queries']:,}" if "queries" in figures else ""


def _percent(low: float | None, high: float | None) -> str:
    """One percentage, or two where they differ as shown; nothing for what is not known."""
    if low is None or high is None:
        return ""
    ends = sorted({f"{low:.1%}", f"{high:.1%}"}, key=lambda end: float(end[:-1]))
    return "–".join(end.removesuffix("%") for end in ends) + "%"


def served_table(served: Mapping[str, Any]) -> Table:
    """Each step from the trained network to the served answer, and what it changes."""
    table = Table(
        f"Products found, of {served['products']:,} in the release",
        *("R@1", "R@5", "R@10", "gained, lost at 1", "neighbours at 10"),
        show_edge=False,
    )
    for step, figures in served["steps"].items():
        if step == "whole":
            changes = f"+{figures['gained_at_1']} −{figures['lost_at_1']}"
            table.add_row(step, "", "", "", changes, "")
        elif figures is None:
            table.add_row(step, "exact index", "", "", "", "")
        else:
            table.add_row(
                step,
                *(f"{figures[f'recall_at_{k}']:.1%}" for k in (1, 5, 10)),
                f"+{figures['gained_at_1']} −{figures['lost_at_1']}",
                f"{figures['neighbours_at_10']:.1%}",
            )
    return table
