"""`lookalike data stats`: what a catalogue holds, and its copies, as files and a page."""

from dataclasses import dataclass
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from trainer.cli.output import print_json, readable
from trainer.progress import console
from trainer.training.experiment import Experiment


@dataclass(frozen=True)
class Stats:
    """Measure a catalogue: counts, sizes, copies across products and across the split.

    Writes stats.json, duplicates.csv, class_distribution.png, per_class_visualization.png and
    index.html, which shows all of it.
    """

    catalog: tyro.conf.Positional[str]
    """Folder, tar, CSV, JSON Lines or Parquet file; all but tars also on gs://."""
    out: str
    """Where the files go: a folder or gs://bucket/prefix."""
    holdout: float = Experiment.holdout
    """Fraction of the products kept unseen, as the training will; for copies across the split."""
    seed: int = Experiment.seed
    """The training's seed, which decides which products these are."""
    json: bool = False
    """Print the statistics as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Measure, write and print."""
        from trainer.data.catalog import open_catalog
        from trainer.data.statistics import write_statistics

        Experiment(holdout=self.holdout, seed=self.seed)  # refuses what is out of range
        catalog = open_catalog(self.catalog)
        summary = write_statistics(catalog, self.out, holdout=self.holdout, seed=self.seed)
        if self.json:
            print_json(summary)
        else:
            Console().print(statistics_table(catalog.name, summary))
            console.print(f"In {self.out}: index.html shows all of it")


_DEGREES = {
    "same_bytes": "copies: same bytes",
    "same_pixels": "copies: same pixels",
    "near": "alike, to look at",
}


def statistics_table(name: str, summary: dict[str, Any]) -> Table:
    table = Table("", name, show_edge=False)
    for key in ("photos", "products", "photos_per_product", "category_count", "roles", "formats"):
        table.add_row(key.replace("_", " "), readable(summary[key]))
    for side in ("train", "evaluation"):
        table.add_row(side, readable(summary["split"][side]))
    for degree, label in _DEGREES.items():
        table.add_row(label, readable(_nonzero(summary, degree)))
    table.add_row("unreadable photos", readable(len(summary["unreadable"])))
    return table


def _nonzero(summary: dict[str, Any], degree: str) -> dict[str, int] | int:
    counts = summary["duplicates"][degree]
    return {key.replace("_", " "): count for key, count in counts.items() if count} or 0
