"""`lookalike evaluate`: how good a run's network is on products that it never saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

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
    """Folder, tar, CSV, JSON Lines or Parquet file."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the results as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Evaluate and print."""
        from trainer.data.catalog import open_catalog
        from trainer.evaluation.evaluate import evaluate

        results = evaluate(self.run, open_catalog(self.catalog), on_bad_photo=self.on_bad_photo)
        if self.json:
            print_json(results)
        else:
            Console().print(metrics_table(results))
            console.print(f"In {self.run}: the figures as JSON, and pictures as retrieval*.png")


def metrics_table(results: Mapping[str, Any]) -> Table:
    table = Table("", "R@1", "R@5", "R@10", "R@100", "MAP@R", "Queries", show_edge=False)
    labels = {"query_to_catalog": "photo → catalogue", "leave_one_out": "leave-one-out"}
    names = ("recall_at_1", "recall_at_5", "recall_at_10", "recall_at_100", "map_at_r")
    for key, label in labels.items():
        if metrics := results[key]:
            table.add_row(
                label, *(f"{metrics[name]:.1%}" for name in names), f"{metrics['queries']:,}"
            )
    return table
