"""Checkpoints: what training needs to go on exactly where it was, on a folder or gs://."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from trainer.model.parameters import Shapes
from trainer.training.state import AVERAGE, ITEMS, MODEL, TrainState

# One more than needed: the newest may be half written when the machine goes away.
_CHECKPOINTS_KEPT = 2
_PROGRESS = "progress"


class Checkpoints:
    """The numbered checkpoints below one URL. Use as a context: leaving waits for open saves.

    A checkpoint is `<url>/<step>/`, with an item for each of `TrainState.items`, and `progress`
    (JSON). Every process of a cluster saves and restores together. It counts only once Orbax has
    marked it complete: what a killed process left behind is never read, and removed before training
    saves here again.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Open; reading only, nothing is made or cleaned, so that training may go on elsewhere."""
        # Orbax's own read_only warns at each use and adds nothing: without `save` nothing is saved.
        self._manager = ocp.CheckpointManager(
            url,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=_CHECKPOINTS_KEPT,
                create=not read_only,
                cleanup_tmp_directories=not read_only,
            ),
            item_names=(*ITEMS, _PROGRESS),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._manager.close()

    @property
    def latest(self) -> int | None:
        """The step of the last complete checkpoint; None where there is none."""
        step = self._manager.latest_step()
        return None if step is None else int(step)

    def save(self, state: TrainState, progress: Mapping[str, Any]) -> None:
        """Start to save; the state's arrays are copied before this returns.

        Args:
            state: saved under its own step.
            progress: what a report needs and the state does not hold; JSON's own types.
        """
        items = {name: ocp.args.StandardSave(item) for name, item in state.items().items()}
        self._manager.save(
            int(jax.device_get(state.step)),
            args=ocp.args.Composite(progress=ocp.args.JsonSave(dict(progress)), **items),
        )

    def restore(self, step: int, like: Mapping[str, Any]) -> TrainState:
        """Return the state that was saved after `step` steps.

        Args:
            step: of a complete checkpoint.
            like: its items' shapes, types and placement, as `abstract_items` gives them.
        """
        items = {name: ocp.args.StandardRestore(item) for name, item in like.items()}
        return TrainState.from_items(self._manager.restore(step, args=ocp.args.Composite(**items)))

    def restore_model(self, step: int, shapes: Shapes, *, averaged: bool) -> dict[str, jax.Array]:
        """Return only a checkpoint's parameters and BatchNorm statistics, by name.

        Args:
            step: of a complete checkpoint.
            shapes: of these arrays, by name.
            averaged: their moving average instead of the last values.
        """
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        like = {
            name: jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
                shape, jnp.float32, sharding=here
            )
            for name, shape in shapes.items()
        }
        item = AVERAGE if averaged else MODEL
        found = self._manager.restore(
            step, args=ocp.args.Composite(**{item: ocp.args.StandardRestore(like)})
        )
        return dict(found[item])

    def progress(self, step: int) -> dict[str, Any]:
        """Return what was saved as a checkpoint's progress."""
        found = self._manager.restore(
            step, args=ocp.args.Composite(progress=ocp.args.JsonRestore())
        )
        return dict(found[_PROGRESS])
