"""Several trackers as one."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

from function.storage import Storage
from trainer.extras import require
from trainer.tracking.background import Background
from trainer.tracking.curves import CurvesFile
from trainer.tracking.tensorboard import TensorBoard
from trainer.tracking.tracker import Tracker

TrackerName = Literal["tensorboard", "wandb", "mlflow"]

_LOGS = "logs"


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Refuse, before photos are read, trackers that could not be opened.

    Raises:
        LookalikeError: a tracker's package is not installed, or it is told of no account or server.
    """
    if "wandb" in names:
        require("wandb", "wandb", "Curves for wandb")
        from trainer.tracking.weights_and_biases import require_login

        require_login()
    if "mlflow" in names:
        require("mlflow.tracking", "mlflow", "Curves for mlflow")
        from trainer.tracking.mlflow import require_server

        require_server()


def open_trackers(
    names: Sequence[TrackerName],
    storage: Storage,
    *,
    config: Mapping[str, Any],
    start_step: int,
) -> Tracker:
    """Open curves.jsonl and the named trackers; what is written goes to each of them.

    Errors of the run's own storage are raised, by TensorBoard's logs and curves.jsonl. The others
    lie across a network: once they have been opened, what befalls them is said on stderr alone.

    Args:
        names: of the trackers beside curves.jsonl.
        storage: the run's, a folder or gs://.
        config: what the run trains, in JSON's own types: the others show it beside the curves.
        start_step: the first step that may still come; what an interrupted run wrote from here on
            is removed, hidden, or taken for what comes: see each tracker.

    Raises:
        LookalikeError: as `check_trackers`.
    """
    check_trackers(names)
    others: list[Tracker] = []
    if "wandb" in names:
        from trainer.tracking.weights_and_biases import WeightsAndBiases

        others.append(
            Background("Weights & Biases", lambda: WeightsAndBiases(storage, config=config))
        )
    if "mlflow" in names:
        from trainer.tracking.mlflow import MLflow

        others.append(Background("MLflow", lambda: MLflow(storage, config=config)))
    own: list[Tracker] = [CurvesFile(storage, start_step=start_step)]
    if "tensorboard" in names:
        own.append(TensorBoard(storage.child(_LOGS), start_step=start_step))
    return Trackers([*own, *others])


class Trackers(Tracker):
    """Hands everything on to each of several; to none, where there are none."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.write(step, scalars)

    def publish(self) -> None:
        for tracker in self._trackers:
            tracker.publish()

    def close(self, *, failed: bool) -> None:
        # In their order, as a stack takes them: those across a network may take all the time that
        # is left. One that fails keeps no other from being closed.
        with ExitStack() as stack:
            for tracker in reversed(self._trackers):
                stack.callback(tracker.close, failed=failed)
