"""Weights & Biases: https://docs.wandb.ai. One W&B run for one run, however often it is resumed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from function.storage import Storage
from trainer.errors import LookalikeError
from trainer.tracking.background import CLOSING_SECONDS
from trainer.tracking.identity import kept_id, new_id
from trainer.tracking.tracker import Tracker

PROJECT = "lookalike"
"""Where runs go, unless WANDB_PROJECT says otherwise."""

_ID = "wandb.json"


def require_login() -> None:
    """See that points could be sent, without sending any; on a terminal, ask for a key.

    Raises:
        LookalikeError: no account is known on this machine, and W&B is not told to do without.
    """
    # Crashes of the client are nobody else's business, unless somebody says so.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    if wandb.setup(wandb.Settings(silent=True)).settings.mode != "online":
        return
    try:
        wandb.login(verify=False)
    except wandb.errors.UsageError as error:
        raise LookalikeError(
            "Weights & Biases: expected a login on this machine, found none. Run `wandb login`, "
            "set WANDB_API_KEY, or set WANDB_MODE=offline to keep the curves in the run's folder."
        ) from error


class WeightsAndBiases(Tracker):
    """A W&B run. WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY and the like are honoured.

    Offline, each start of the training leaves a folder below `wandb/`; `wandb sync` sends them to
    one W&B run. What W&B has of a step stays: after an interruption training repeats the steps
    since the last checkpoint with the same result, so the repetition is left out.
    """

    def __init__(self, storage: Storage, *, config: Mapping[str, Any]) -> None:
        """Begin a W&B run, or go on with the one that the run's wandb.json names.

        Args:
            storage: the run's; a local folder also gets W&B's own files.
            config: what the run trains, as W&B shows it.
        """
        import wandb

        identity = kept_id(storage, _ID, lambda: new_id(storage.url))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=identity,
            name=os.environ.get("WANDB_NAME", Path(storage.url).name),
            resume="allow",
            config=dict(config),
            dir=_made(storage.folder),
            settings=wandb.Settings(
                console="off",  # progress bars are no log
                silent=True,
                save_code=False,
                allow_val_change=True,  # the weights' path may change, their content cannot
                finish_timeout=CLOSING_SECONDS,
            ),
        )
        self._first = self._run.step

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        if step >= self._first:
            self._run.log(dict(scalars), step=step)

    def publish(self) -> None:
        """Nothing to do: W&B's own process writes points to disk and sends them by itself."""

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
