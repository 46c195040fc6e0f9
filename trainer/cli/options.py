"""Options that several commands share."""

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from trainer import experiments
from trainer.training.experiment import Experiment

if TYPE_CHECKING:
    from trainer.release.database.connection import Database

# The variable that the function reads too.
DATABASE_VARIABLE = "LOOKALIKE_DATABASE"

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


def named_database(address: str | None) -> "Database | None":
    """Return the database that --database or LOOKALIKE_DATABASE names; None where neither does.

    Raises:
        DatabaseError: psycopg is not installed, or it is no address of PostgreSQL.
    """
    named = address or os.environ.get(DATABASE_VARIABLE)
    if not named:
        return None
    from trainer.release.database.connection import database_at

    return database_at(named)
