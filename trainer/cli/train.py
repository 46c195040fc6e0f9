"""`lookalike train`: an experiment on a catalogue becomes a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import tyro

from trainer import experiments
from trainer.cli.options import OnBadPhoto, named_experiment
from trainer.cli.output import print_json
from trainer.training.experiment import Experiment


@dataclass(frozen=True)
class Train:
    """Train a network on a catalogue, so that photos of one product come to lie together.

    Run the same command again after an interruption and it goes on from the last checkpoint.
    """

    catalog: str
    """Folder, tar, CSV, JSON Lines or Parquet file."""
    run: str
    """Where checkpoints, logs and reports go: a folder or gs://bucket/prefix."""
    settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=Experiment)
    """What to train and how; these options override the named experiment's values."""
    experiment: str = "default"
    """A named experiment to start from."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the summary as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Train, or go on training."""
        from trainer.data.catalog import open_catalog
        from trainer.training.loop import train

        summary = train(
            open_catalog(self.catalog), self.run, self.settings, on_bad_photo=self.on_bad_photo
        )
        if self.json:
            print_json(summary.to_dict())


def train_command(argv: Sequence[str]) -> type[Train]:
    """Return `Train` whose defaults are those of the experiment that the arguments name.

    Raises:
        TrainingError: there is none of that name.
    """
    named = named_experiment(argv)

    @dataclass(frozen=True)
    class TrainNamed(Train):
        __doc__ = f"{Train.__doc__}Named experiments: {', '.join(experiments.names())}."
        settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=lambda: named)
        """What to train and how; these options override the named experiment's values."""

    return TrainNamed
