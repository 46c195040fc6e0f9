"""Train: from a catalogue and an experiment to a run, however often it is interrupted."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from trainer.data.pipeline import TrainingBatches
from trainer.data.recolour import recolour
from trainer.data.records import Catalog
from trainer.data.sampler import PKSampler
from trainer.data.screen import OnBadPhoto
from trainer.errors import TrainingError
from trainer.model.config import ModelConfig
from trainer.model.parameters import parameter_shapes, to_flat
from trainer.progress import console, progress_bar
from trainer.tracking import Tracker, open_trackers
from trainer.training.checkpoint import Checkpoints
from trainer.training.compilation import keep_compiled_programs
from trainer.training.diagnosis import explain_not_finite
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config, initial_model
from trainer.training.interruption import interruption
from trainer.training.run import Run
from trainer.training.step import StepMetrics, TrainState, initial_state, make_step


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
) -> RunSummary:
    """Train until the experiment's last step, from the run's last checkpoint if it has one.

    Steps are the same, bit for bit on one machine, however often training was interrupted. SIGTERM
    and SIGINT save a checkpoint and leave.

    Args:
        catalog: as opened; it is screened and split here, once per run.
        run_url: a folder or gs://bucket/prefix; see `trainer.training.run`.
        experiment: what to train.
        on_bad_photo: "skip" lists unreadable photos in the run; "fail" raises.
        workers: threads that decode photos; None: one per processor.

    Raises:
        ExperimentChanged: the run belongs to another experiment or catalogue.
        NotFinite: the loss or a gradient is; the last checkpoint is from before.
        TrainingError: too few products to train on, or interrupted by a signal.
        CatalogError, WeightsError: what was given cannot be read.
    """
    keep_compiled_programs()
    run = Run(run_url)
    config = initial_config(experiment)
    run.claim(experiment, config, catalog)
    with run.checkpoints() as checkpoints:
        resumed_from = checkpoints.latest
        if resumed_from == experiment.steps:
            console.print(f"{run.url} is trained: {resumed_from} steps, nothing to do.")
            done = checkpoints.progress(resumed_from)
            return RunSummary(resumed_from, done["seconds"], 0.0, done["loss"], resumed_from)
        split = run.split(catalog, on_bad_photo=on_bad_photo)
        seconds = 0.0
        if resumed_from is None:
            state = initial_state(experiment, to_flat(initial_model(experiment, config)))
        else:
            state = checkpoints.restore(resumed_from, experiment, parameter_shapes(config))
            seconds = checkpoints.progress(resumed_from)["seconds"]
        if experiment.steps == 0:
            checkpoints.save(state, {"seconds": seconds, "loss": None})
            return RunSummary(0, seconds, 0.0, None, None)
        # Fresh arrays could move to any device, restored ones could not: XLA would compile twice.
        state = jax.device_put(state, jax.local_devices()[0])
        first = resumed_from or 0
        batches = _batches(split.train, experiment, first, workers)
        with open_trackers(
            ["tensorboard"], run.storage, config=experiment.to_dict(), start_step=first + 1
        ) as curves:
            loss, rate, seconds = _train_steps(
                experiment, config, batches, state, checkpoints, curves, seconds
            )
    return RunSummary(experiment.steps, seconds, rate, loss, resumed_from)


def _train_steps(
    experiment: Experiment,
    config: ModelConfig,
    batches: TrainingBatches,
    state: TrainState,
    checkpoints: Checkpoints,
    curves: Tracker,
    seconds: float,
) -> tuple[float, float, float]:
    """Return the last loss, photos per second, and the seconds of this and earlier calls.

    The host never waits for the step it has just started, except to save: it looks at the one
    before, so that the device always has the next step at hand.
    """
    train_step = make_step(experiment, config)
    clock = _Clock(experiment.batch_size)
    loss, logged = float("nan"), 0
    previous: StepMetrics | None = None

    def checked(metrics: StepMetrics, step: int, state: TrainState) -> dict[str, float]:
        values = {name: value.item() for name, value in jax.device_get(vars(metrics)).items()}
        if values.pop("step") != step:
            raise explain_not_finite(experiment, config, batches, state)
        return values

    with (
        progress_bar("Training", experiment.steps, completed=batches.start_step) as bar,
        interruption() as interrupted_by,
    ):
        for batch in batches:
            number, pixels, colour, labels = jax.device_put(
                (np.int32(batch.step), batch.pixels, batch.colour, batch.labels)
            )
            with jax.transfer_guard("disallow"):
                state, metrics = train_step(state, number, recolour(pixels, colour), labels)
            note = None
            if previous is not None:
                previous.loss.block_until_ready()
                clock.tick()
                if batch.step % experiment.log_every == 0 and batch.step != logged:
                    values = checked(previous, batch.step, state)
                    curves.write(batch.step, {**values, "photos_per_second": clock.rate})
                    note = f"loss {values['loss']:.3f}, {clock.rate:.0f} photos/s"
            previous = metrics
            step, signal_name = batch.step + 1, interrupted_by()
            if step % experiment.checkpoint_every == 0 or step == experiment.steps or signal_name:
                values = checked(metrics, step, state)
                loss = values["loss"]
                if step % experiment.log_every == 0:
                    # Not left to the next step: there may be none, or only in another process.
                    curves.write(step, {**values, "photos_per_second": clock.rate})
                    logged = step
                curves.publish()
                checkpoints.save(state, {"seconds": seconds + clock.seconds, "loss": loss})
            bar.advance(note=note)
            if signal_name:
                raise TrainingError(
                    f"{signal_name} stopped training after step {step} of {experiment.steps}. "
                    "It is saved: run the same command again to go on."
                )
    return loss, clock.rate, seconds + clock.seconds


class _Clock:
    """Time since training began, and the speed since its first step, which compiles."""

    def __init__(self, photos_per_step: int) -> None:
        self._photos_per_step = photos_per_step
        self._start = time.monotonic()
        self._first = self._last = 0.0
        self._steps = 0

    @property
    def seconds(self) -> float:
        """Since training began."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Photos per second; 0 until two steps have ended."""
        if self._steps < 2:
            return 0.0
        return (self._steps - 1) * self._photos_per_step / (self._last - self._first)

    def tick(self) -> None:
        """A step has ended."""
        self._last = time.monotonic()
        self._first = self._first or self._last
        self._steps += 1


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
    )
