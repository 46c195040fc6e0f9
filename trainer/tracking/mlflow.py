"""MLflow: https://mlflow.org. One MLflow run for one run, however often it is resumed."""

import os
import time
from collections.abc import Iterator, Mapping
from itertools import batched
from pathlib import Path
from typing import Any

from function.storage import Storage
from trainer.errors import LookalikeError
from trainer.tracking.identity import kept_id
from trainer.tracking.tracker import Tracker

EXPERIMENT = "lookalike"
"""Where runs go, unless MLFLOW_EXPERIMENT_NAME says otherwise."""

_ID = "mlflow.json"
# What servers accept at once.
_PARAMS_PER_REQUEST = 100


def require_server() -> None:
    """See that MLflow is told where its curves go, without going there.

    Raises:
        LookalikeError: MLFLOW_TRACKING_URI is not set.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise LookalikeError(
            "MLflow: expected the address of a tracking server in MLFLOW_TRACKING_URI, found none. "
            "Set it, as to http://127.0.0.1:5000, where `mlflow server` answers."
        )


class MLflow(Tracker):
    """An MLflow run on the server, or in the store, that MLFLOW_TRACKING_URI names.

    What MLflow has of a step stays: after an interruption training repeats the steps since the
    last checkpoint with the same result, so the repetition is left out.
    """

    def __init__(self, storage: Storage, *, config: Mapping[str, Any]) -> None:
        """Begin an MLflow run, or go on with the one that the run's mlflow.json names.

        Args:
            storage: the run's.
            config: what the run trains: MLflow's parameters, nested names joined by dots.
        """
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        self._id = kept_id(storage, _ID, lambda: self._create(storage.url, config))
        self._client.update_run(self._id, status="RUNNING")
        self._last = self._last_step()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        if step > self._last:
            now = int(time.time() * 1000)
            metrics = [Metric(name, value, now, step) for name, value in scalars.items()]
            self._client.log_batch(self._id, metrics=metrics)

    def publish(self) -> None:
        """Nothing to do: the server has answered each point."""

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def _create(self, url: str, config: Mapping[str, Any]) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        run_id: str = self._client.create_run(experiment, run_name=Path(url).name).info.run_id
        params = [Param(key, str(value)) for key, value in _flat(config)]
        for part in batched(params, _PARAMS_PER_REQUEST):
            self._client.log_batch(run_id, params=list(part))
        return run_id

    def _last_step(self) -> int:
        """The last step that the run has a point of; -1 where it has none."""
        names = self._client.get_run(self._id).data.metrics
        return max(
            (
                point.step
                for name in names
                for point in self._client.get_metric_history(self._id, name)
            ),
            default=-1,
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
