"""The steps of a training, one after the other: trained, looked at, saved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from trainer.data.pipeline import Batch, TrainingBatches
from trainer.errors import TrainingError
from trainer.model.config import ModelConfig
from trainer.progress import progress_bar
from trainer.tracking import Tracker
from trainer.training.checkpoint import Checkpoints
from trainer.training.clock import Clock
from trainer.training.diagnosis import explain_not_finite
from trainer.training.experiment import Experiment
from trainer.training.mesh import put_rows, put_whole
from trainer.training.state import TrainState
from trainer.training.step import StepMetrics, TrainingStep


@dataclass
class Steps:
    """The steps of one call of `train`, and what they gave."""

    experiment: Experiment
    config: ModelConfig
    mesh: Mesh
    batches: TrainingBatches
    checkpoints: Checkpoints
    curves: Tracker
    seconds: float
    """Of earlier calls; in the end of this one too."""
    loss: float = nan
    """Of the last step that was looked at."""
    interrupted_by: Callable[[], str | None] = lambda: None
    """Gives the name of the signal that came, None as long as none did."""

    def __post_init__(self) -> None:
        self.clock = Clock(self.experiment.batch_size)
        self._logged = 0

    def run(
        self,
        train_step: TrainingStep,
        state: TrainState,
        trace: Callable[[int, object], None],
        listen: Callable[[], Callable[[], str | None]],
    ) -> None:
        """Train to the end, or until a signal came; see `trainer.training.interruption`.

        Signals are held back, as `listen` does and then tells of them, once the first step is
        compiled: that may take a minute, in which Python hears none and nothing is to be saved.

        The host never waits for the step that it has just started, except to save: it looks at the
        one before, so that the device always has the next step at hand. What it does then depends
        only on what all processes see alike, so that they save and leave together.
        """
        experiment, first = self.experiment, self.batches.start_step
        previous: StepMetrics | None = None
        with progress_bar("Training", experiment.steps, completed=first) as bar:
            bar.advance(0, note="compiling the step")
            for batch in self.clock.inputs(self.batches):
                trace(batch.step, previous)
                inputs = self._placed(batch, told_to_leave=self.interrupted_by() is not None)
                with jax.transfer_guard("disallow"):
                    state, metrics = train_step(state, *inputs)
                note, leaving = None, False
                if previous is None:
                    note, self.interrupted_by = "", listen()
                else:
                    with self.clock.waiting_for("device"):
                        previous.loss.block_until_ready()
                    self.clock.tick()
                    leaving = bool(jax.device_get(previous.interrupted))
                    if batch.step % experiment.log_every == 0:
                        note = self._log(previous, batch.step, state)
                previous, step = metrics, batch.step + 1
                last = leaving or step == experiment.steps
                if last or step % experiment.checkpoint_every == 0:
                    note = self._save(metrics, step, state) or note
                bar.advance(note=note)
                if leaving and step < experiment.steps:
                    raise TrainingError(
                        f"{self.interrupted_by() or 'Another process'} stopped training after step "
                        f"{step} of {experiment.steps}. "
                        "It is saved: run the same command again to go on."
                    )
        self.seconds += self.clock.seconds

    def _placed(self, batch: Batch, *, told_to_leave: bool) -> tuple[Any, ...]:
        flags = np.full(len(self.mesh.local_devices), told_to_leave, np.int32)
        return (
            put_whole(self.mesh, np.int32(batch.step)),
            put_rows(self.mesh, flags),
            put_rows(self.mesh, batch.pixels),
            None if batch.windows is None else put_rows(self.mesh, batch.windows),
            put_rows(self.mesh, batch.colour),
            put_rows(self.mesh, batch.labels),
        )

    def _save(self, metrics: StepMetrics, step: int, state: TrainState) -> str | None:
        note = None
        if step % self.experiment.log_every == 0:
            # Not left to the next step: there may be none, or only in another process.
            note = self._log(metrics, step, state)
        else:
            self._checked(metrics, step, state)
        progress = {"seconds": self.seconds + self.clock.seconds, "loss": self.loss}
        self.curves.publish()
        self.checkpoints.save(state, progress)
        return note

    def _log(self, metrics: StepMetrics, step: int, state: TrainState) -> str | None:
        if step == self._logged:
            return None
        self._logged = step
        values = self._checked(metrics, step, state) | self.clock.lap()
        self.curves.write(step, values)
        return _note(values)

    def _checked(self, metrics: StepMetrics, step: int, state: TrainState) -> dict[str, float]:
        """Return what a step reported; NotFinite where it, or one before it, was refused."""
        values = {name: value.item() for name, value in jax.device_get(vars(metrics)).items()}
        if values.pop("step") != step:
            raise explain_not_finite(self.experiment, self.config, self.mesh, self.batches, state)
        del values["interrupted"]
        self.loss = values["loss"]
        return values


def _note(values: Mapping[str, float]) -> str:
    loss = f"loss {values['loss']:.3f}"
    if "photos_per_second" not in values:
        return loss
    return (
        f"{loss} · {values['photos_per_second']:,.0f} photos/s · "
        f"{values['steps_per_second']:.3g} steps/s · waits: "
        f"input {values['input_wait']:.0%}, device {values['device_wait']:.0%}"
    )
