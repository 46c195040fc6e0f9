"""`lookalike sweep`: an experiment from several seeds, as mean and deviation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from trainer import experiments
from trainer.cli.options import OnBadPhoto, TrackerName, named_experiment
from trainer.cli.output import print_json
from trainer.progress import console
from trainer.training.allocation import keep_freed_memory
from trainer.training.experiment import Experiment


@dataclass(frozen=True)
class Sweep:
    """Train and evaluate an experiment from several seeds: mean and deviation of each metric.

    Run the same command again after an interruption, or with more seeds: finished ones are not
    repeated.
    """

    catalog: str
    """Folder, tar, CSV, JSON Lines or Parquet file; all but tars also on gs://."""
    out: str
    """Where each seed's run goes, as seed-N, and the result: a folder or gs://bucket/prefix."""
    settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=Experiment)
    """What to train and how; these options override the named experiment's values."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each decides a split, initial weights, an order of batches and their augmentation; they take
    the place of --seed."""
    experiment: str = "default"
    """A named experiment to start from."""
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    """Where curves go, beside each run's curves.jsonl."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the result as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Sweep and print."""
        keep_freed_memory()
        from trainer.data.catalog import open_catalog
        from trainer.sweep import SWEEP, sweep

        found = sweep(
            open_catalog(self.catalog),
            self.out,
            self.settings,
            self.seeds,
            trackers=self.trackers,
            on_bad_photo=self.on_bad_photo,
        )
        if self.json:
            print_json(found.to_dict())
            return
        head, *rows = found.rows()
        table = Table(*head, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        console.print(f"In {self.out}: {SWEEP}.json, {SWEEP}.md and the runs")


def sweep_command(argv: Sequence[str]) -> type[Sweep]:
    """Return `Sweep` whose defaults are those of the experiment that the arguments name.

    Raises:
        TrainingError: there is none of that name.
    """
    named = named_experiment(argv)

    @dataclass(frozen=True)
    class SweepNamed(Sweep):
        __doc__ = f"{Sweep.__doc__}Named experiments: {', '.join(experiments.names())}."
        settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=lambda: named)
        """What to train and how; these options override the named experiment's values."""

    return SweepNamed
