"""Options that several commands share."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Literal

from trainer import experiments
from trainer.training.experiment import Experiment

type OnBadPhoto = Literal["skip", "fail"]
type TrackerName = Literal["tensorboard", "wandb", "mlflow"]


def named_experiment(argv: Sequence[str]) -> Experiment:
    """Return the experiment that --experiment names, the default one where it is not given.

    Raises:
        TrainingError: there is none of that name.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--experiment", default="default")
    return experiments.load(parser.parse_known_args(argv)[0].experiment)
