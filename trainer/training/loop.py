"""Train: from a catalogue and an experiment to a run, however often it is interrupted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import nan
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from trainer.data.pipeline import Batch, TrainingBatches
from trainer.data.records import Catalog
from trainer.data.sampler import PKSampler
from trainer.data.screen import OnBadPhoto
from trainer.errors import TrainingError
from trainer.losses.registry import loss_function
from trainer.model.config import ModelConfig
from trainer.model.parameters import to_flat
from trainer.progress import console, progress_bar
from trainer.tracking import Tracker, TrackerName, Trackers, open_trackers
from trainer.training.checkpoint import Checkpoints
from trainer.training.clock import Clock
from trainer.training.compilation import keep_compiled_programs
from trainer.training.diagnosis import explain_not_finite
from trainer.training.distributed import is_primary, primary_first, share
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config, initial_model
from trainer.training.interruption import interruption
from trainer.training.mesh import device_mesh, put_rows, put_whole, whole
from trainer.training.profiling import profiler
from trainer.training.run import PROFILE, Run
from trainer.training.state import TrainState, abstract_items, initial_state
from trainer.training.step import StepMetrics, TrainingStep, make_step


@dataclass(frozen=True)
class RunSummary:
    """What a call of `train` did."""

    steps: int
    """Batches that the network has learned from, in all."""
    seconds: float
    """Spent on these steps, in all calls together."""
    images_per_second: float
    """Photos learned from by this call, each second; 0 where nothing was left to do."""
    final_loss: float | None
    """Of the last batch; None where there was none."""
    resumed_from: int | None
    """The checkpoint that this call went on from; None where it began."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types."""
        return asdict(self)


def train(
    catalog: Catalog,
    run_url: str,
    experiment: Experiment,
    *,
    on_bad_photo: OnBadPhoto = "skip",
    workers: int | None = None,
    trackers: Sequence[TrackerName] = ("tensorboard",),
    profile: bool = False,
) -> RunSummary:
    """Train until the experiment's last step, from the run's last checkpoint if it has one.

    Steps are the same, bit for bit on one machine, however often training was interrupted. SIGTERM
    and SIGINT save a checkpoint and leave, in all processes where one is told.

    All devices of all processes share each batch. Where there are several processes
    (`trainer.training.distributed`), each calls this with the same arguments and a `run_url` that
    all can reach.

    Args:
        catalog: as opened; it is screened and split here, once per run.
        run_url: a folder or gs://bucket/prefix; see `trainer.training.run`.
        experiment: what to train.
        on_bad_photo: "skip" lists unreadable photos in the run; "fail" raises.
        workers: threads that decode photos; None: one per processor.
        trackers: where curves go, beside the run's curves.jsonl.
        profile: write a trace of some steps into the run's `profile/`.

    Raises:
        ExperimentChanged: the run belongs to another experiment or catalogue.
        NotFinite: the loss or a gradient is; the last checkpoint is from before.
        TrainingError: too few products to train on, or interrupted by a signal.
        CatalogError, WeightsError: what was given cannot be read.
    """
    keep_compiled_programs()
    run = Run(run_url)
    config = initial_config(experiment)
    # Asked for here only to be refused, where it must be, before photos are read.
    loss_function(experiment.loss, experiment.loss_options)
    mesh = device_mesh(experiment.batch_size if experiment.steps else 0)
    run.claim(experiment, config, catalog)
    with run.checkpoints() as checkpoints:
        resumed_from = checkpoints.latest
        if resumed_from == experiment.steps:
            console.print(f"{run.url} is trained: {resumed_from} steps, nothing to do.")
            done = checkpoints.progress(resumed_from)
            return RunSummary(resumed_from, done["seconds"], 0.0, done["loss"], resumed_from)
        with primary_first("split"):
            split = run.split(catalog, on_bad_photo=on_bad_photo)
        if experiment.steps == 0:
            arrays = to_flat(initial_model(experiment, config))
            state = _everywhere(mesh, initial_state(experiment, config, arrays, classes=0))
            checkpoints.save(state, {"seconds": 0.0, "loss": None})
            return RunSummary(0, 0.0, 0.0, None, None)
        batches = _batches(split.train, experiment, resumed_from or 0, workers)
        train_step = make_step(experiment, config, mesh)
        classes = batches.sampler.classes
        if resumed_from is None:
            arrays = to_flat(initial_model(experiment, config))
            state = _everywhere(mesh, initial_state(experiment, config, arrays, classes))
            seconds = 0.0
        else:
            like = abstract_items(experiment, config, classes, whole(mesh))
            state = checkpoints.restore(resumed_from, like)
            seconds = checkpoints.progress(resumed_from)["seconds"]
        # Processes of a cluster see the same figures: one of them tells.
        chosen = trackers if is_primary() else None
        with (
            _trackers(chosen, run, experiment, batches.start_step + 1) as curves,
            profiler(run.storage.child(PROFILE) if profile else None, batches.start_step) as trace,
        ):
            training = _Training(experiment, config, mesh, batches, checkpoints, curves, seconds)
            training.run(train_step, state, trace)
    return RunSummary(
        experiment.steps,
        training.seconds,
        training.clock.photos_per_second,
        training.loss,
        resumed_from,
    )


@dataclass
class _Training:
    """The steps of one call."""

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

    def __post_init__(self) -> None:
        self.clock = Clock(self.experiment.batch_size)
        self._logged = 0

    def run(
        self, train_step: TrainingStep, state: TrainState, trace: Callable[[int], None]
    ) -> None:
        """Train to the end.

        The host never waits for the step that it has just started, except to save: it looks at the
        one before, so that the device always has the next step at hand. What it does then depends
        only on what all processes see alike, so that they save and leave together.
        """
        experiment, first = self.experiment, self.batches.start_step
        previous: StepMetrics | None = None
        with (
            progress_bar("Training", experiment.steps, completed=first) as bar,
            interruption() as interrupted_by,
        ):
            for batch in self.clock.inputs(self.batches):
                trace(batch.step)
                inputs = self._placed(batch, told_to_leave=interrupted_by() is not None)
                with jax.transfer_guard("disallow"):
                    state, metrics = train_step(state, *inputs)
                note, leaving = None, False
                if previous is not None:
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
                        f"{interrupted_by() or 'Another process'} stopped training after step "
                        f"{step} of {experiment.steps}. "
                        "It is saved: run the same command again to go on."
                    )
        self.seconds += self.clock.seconds

    def _placed(self, batch: Batch, *, told_to_leave: bool) -> tuple[jax.Array, ...]:
        flags = np.full(len(self.mesh.local_devices), told_to_leave, np.int32)
        return (
            put_whole(self.mesh, np.int32(batch.step)),
            put_rows(self.mesh, flags),
            put_rows(self.mesh, batch.pixels),
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


def _trackers(
    names: Sequence[TrackerName] | None, run: Run, experiment: Experiment, start_step: int
) -> Tracker:
    """Open them; None: nothing is told to anybody."""
    if names is None:
        return Trackers([])
    return open_trackers(names, run.storage, config=experiment.to_dict(), start_step=start_step)


def _everywhere(mesh: Mesh, state: TrainState) -> TrainState:
    placed: TrainState = jax.tree.map(partial(put_whole, mesh), state)
    return placed


def _note(values: Mapping[str, float]) -> str:
    loss = f"loss {values['loss']:.3f}"
    if "photos_per_second" not in values:
        return loss
    return (
        f"{loss} · {values['photos_per_second']:,.0f} photos/s · "
        f"{values['steps_per_second']:.3g} steps/s · waits: "
        f"input {values['input_wait']:.0%}, device {values['device_wait']:.0%}"
    )


def _batches(
    catalog: Catalog, experiment: Experiment, start_step: int, workers: int | None
) -> TrainingBatches:
    sampler = PKSampler(
        [photo.product_id for photo in catalog.photos],
        [photo.role for photo in catalog.photos],
        products_per_batch=experiment.products_per_batch,
        photos_per_product=experiment.photos_per_product,
        seed=experiment.seed,
    )
    return TrainingBatches(
        catalog=catalog,
        sampler=sampler,
        augmentation=experiment.augmentation,
        image_size=experiment.image_size,
        seed=experiment.seed,
        start_step=start_step,
        stop_step=experiment.steps,
        workers=workers,
        shard=share(),
    )
