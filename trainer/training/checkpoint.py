"""Checkpoints: what training needs to go on exactly where it was, on a folder or gs://."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from trainer.model.parameters import Shapes
from trainer.training.experiment import Experiment
from trainer.training.optimizer import make_optimizer
from trainer.training.step import TrainState, split_arrays

# One more than needed: the newest may be half written when the machine goes away.
_CHECKPOINTS_KEPT = 2
_MODEL, _OPTIMIZER, _PROGRESS = "model", "optimizer", "progress"


class Checkpoints:
    """The numbered checkpoints below one URL. Use as a context: leaving waits for open saves.

    A checkpoint is `<url>/<step>/`, with `model` (arrays by name, float32), `optimizer` and
    `progress` (JSON). It counts only once Orbax has marked it complete: what a killed process left
    behind is never read, and removed when training opens the folder again.
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
            item_names=(_MODEL, _OPTIMIZER, _PROGRESS),
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
        self._manager.save(
            int(jax.device_get(state.step)),
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(state.arrays),
                optimizer=ocp.args.StandardSave(state.optimizer),
                progress=ocp.args.JsonSave(dict(progress)),
            ),
        )

    def restore(self, step: int, experiment: Experiment, shapes: Shapes) -> TrainState:
        """Return the state that was saved after `step` steps.

        Args:
            step: of a complete checkpoint.
            experiment: decides the optimiser's moments.
            shapes: of the model's arrays, by name.
        """
        like = _abstract_arrays(shapes)
        moments = jax.eval_shape(make_optimizer(experiment).init, split_arrays(like)[0])
        found = self._manager.restore(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(like),
                optimizer=ocp.args.StandardRestore(
                    jax.tree.map(lambda array: _abstract(array.shape, array.dtype), moments)
                ),
            ),
        )
        parameters, statistics = split_arrays(found[_MODEL])
        return TrainState(
            step=jnp.asarray(step, jnp.int32),
            parameters=parameters,
            statistics=statistics,
            optimizer=found[_OPTIMIZER],
        )

    def restore_model(self, step: int, shapes: Shapes) -> dict[str, jax.Array]:
        """Return only a checkpoint's parameters and BatchNorm statistics, by name."""
        found = self._manager.restore(
            step,
            args=ocp.args.Composite(model=ocp.args.StandardRestore(_abstract_arrays(shapes))),
        )
        return dict(found[_MODEL])

    def progress(self, step: int) -> dict[str, Any]:
        """Return what was saved as a checkpoint's progress."""
        found = self._manager.restore(
            step, args=ocp.args.Composite(progress=ocp.args.JsonRestore())
        )
        return dict(found[_PROGRESS])


def _abstract_arrays(shapes: Shapes) -> dict[str, Any]:
    return {name: _abstract(shape, jnp.float32) for name, shape in shapes.items()}


def _abstract(shape: tuple[int, ...], dtype: Any) -> Any:
    """A shape and a type, on this process's device: a checkpoint may come from another kind."""
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(shape, dtype, sharding=here)  # type: ignore[no-untyped-call]
