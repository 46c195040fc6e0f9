"""Checkpoints: what training needs to go on exactly where it was, on a folder or gs://."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from function.storage import Storage
from trainer.errors import DamagedCheckpoint
from trainer.model.parameters import Shapes
from trainer.progress import console
from trainer.training.digest import digest
from trainer.training.distributed import all_say, is_primary, primary_first
from trainer.training.state import AVERAGE, ITEMS, MODEL, TrainState

# One more than needed: the newest may be half written when the machine goes away.
_CHECKPOINTS_KEPT = 2
_PROGRESS = "progress"
_DIGESTS = "digests"
_CHECKPOINTS, _DAMAGED = "checkpoints", "damaged_checkpoints"


class Checkpoints:
    """A run's numbered checkpoints. Use as a context: leaving waits for open saves.

    A checkpoint is `<run>/checkpoints/<step>/`, with an item for each of `TrainState.items`, and
    `progress` (JSON), which holds the items' digests too. Every process of a cluster saves and
    restores together. It counts only once Orbax has marked it complete: what a killed process left
    behind is never read, and removed before training saves here again.
    """

    def __init__(self, storage: Storage, *, read_only: bool = False) -> None:
        """Open; reading only, nothing is made or cleaned, so that training may go on elsewhere.

        Args:
            storage: the run.
            read_only: for who does not train.
        """
        self._storage = storage
        self._url = storage.child(_CHECKPOINTS).url
        # Orbax's own read_only warns at each use and adds nothing: without `save` nothing is saved.
        self._manager = ocp.CheckpointManager(
            self._url,
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
        items = state.items()
        saved = {name: ocp.args.StandardSave(item) for name, item in items.items()}
        digests = {name: digest(item) for name, item in items.items()}
        self._manager.save(
            int(jax.device_get(state.step)),
            args=ocp.args.Composite(
                progress=ocp.args.JsonSave({**progress, _DIGESTS: digests}), **saved
            ),
        )

    def newest(self, like: Mapping[str, Any]) -> TrainState | None:
        """Return the state of the newest checkpoint that can be read; None before the first.

        Damaged ones are told of, and moved out of the way once an older one was read.

        Args:
            like: as for `restore`.

        Raises:
            DamagedCheckpoint: there are checkpoints, and none that can be read.
        """
        damaged: dict[int, DamagedCheckpoint] = {}
        for step in sorted(map(int, self._manager.all_steps()), reverse=True):
            try:
                state = self.restore(step, like)
            except DamagedCheckpoint as error:
                damaged[step] = error
                continue
            for other, why in damaged.items():
                console.print(f"[yellow]![/] {why}")
                self._set_aside(other)
            if damaged:
                console.print(
                    f"Going on from step {step}; what is damaged was moved to "
                    f"{self._storage.url}/{_DAMAGED}."
                )
            return state
        if damaged:
            raise DamagedCheckpoint(
                "\n".join(map(str, damaged.values()))
                + f"\nNone is left to go on from. Bring a copy back, or move {self._url} away to "
                "begin anew."
            )
        return None

    def restore(self, step: int, like: Mapping[str, Any]) -> TrainState:
        """Return the state that was saved after `step` steps.

        Args:
            step: of a complete checkpoint.
            like: its items' shapes, types and placement, as `abstract_items` gives them.

        Raises:
            DamagedCheckpoint: in all processes, where one cannot read it or finds other bits.
        """
        wanted = {name: ocp.args.StandardRestore(item) for name, item in like.items()}
        return TrainState.from_items(self._read(step, wanted))

    def restore_model(self, step: int, shapes: Shapes, *, averaged: bool) -> dict[str, jax.Array]:
        """Return only a checkpoint's parameters and BatchNorm statistics, by name.

        Args:
            step: of a complete checkpoint.
            shapes: of these arrays, by name.
            averaged: their moving average instead of the last values.

        Raises:
            DamagedCheckpoint: as `restore`.
        """
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        like = {
            name: jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
                shape, jnp.float32, sharding=here
            )
            for name, shape in shapes.items()
        }
        item = AVERAGE if averaged else MODEL
        return dict(self._read(step, {item: ocp.args.StandardRestore(like)})[item])

    def progress(self, step: int) -> dict[str, Any]:
        """Return what was saved as a checkpoint's progress."""
        wanted = ocp.args.Composite(progress=ocp.args.JsonRestore())
        found = dict(self._manager.restore(step, args=wanted)[_PROGRESS])
        found.pop(_DIGESTS, None)
        return found

    def _read(self, step: int, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Restore some items of a checkpoint and hold them against their digests."""
        problem = ""
        try:
            items: Mapping[str, Any] = self._manager.restore(
                step, args=ocp.args.Composite(progress=ocp.args.JsonRestore(), **wanted)
            )
            digests = items[_PROGRESS].get(_DIGESTS, {})
            changed = [
                name for name in wanted if name in digests and digest(items[name]) != digests[name]
            ]
            if changed:
                problem = f"{', '.join(changed)}: other numbers than were saved"
        # Orbax and what it stands on have no error of their own for a file that is damaged.
        except Exception as error:  # noqa: BLE001
            problem = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if not all_say(not problem):
            raise DamagedCheckpoint(
                f"Checkpoint {step} of {self._storage.url} is damaged: "
                f"{problem or 'another process cannot read it'}."
            )
        return items

    def _set_aside(self, step: int) -> None:
        """Move a checkpoint to where it is not looked for. Cut off, it is done again."""
        with primary_first("moving a damaged checkpoint"):
            folder = f"{_CHECKPOINTS}/{step}"
            for name in self._storage.list(folder) if is_primary() else ():
                kept = f"{_DAMAGED}/{step}{name.removeprefix(folder)}"
                self._storage.write(kept, self._storage.read(name))
        self._manager.delete(step)
