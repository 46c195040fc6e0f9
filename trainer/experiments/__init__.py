"""Named experiments, one file each; a file opens with its command, hardware, time and result."""

from importlib import import_module

from trainer.errors import TrainingError
from trainer.training.experiment import Experiment

_NAMES = ("default", "emoji", "grocery", "sop_resnet50", "studio")


def names() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return _NAMES


def load(name: str) -> Experiment:
    """Return a named experiment.

    Raises:
        TrainingError: there is none of that name; the message lists those there are.
    """
    if name not in _NAMES:
        raise TrainingError(f"No experiment {name!r}; expected one of {', '.join(_NAMES)}.")
    experiment: Experiment = import_module(f"{__name__}.{name}").EXPERIMENT
    return experiment
