"""Train: from a catalogue and an experiment to a run, however often it is interrupted."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh

from function.storage import Storage
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto
from trainer.errors import TrainingError
from trainer.model.parameters import to_flat
from trainer.progress import console
from trainer.tracking import Tracker, TrackerName, Trackers, check_trackers, open_trackers
from trainer.training.batches import resize_on, training_batches
from trainer.training.compilation import keep_compiled_programs
from trainer.training.distributed import is_primary, primary_first, share
from trainer.training.experiment import Experiment
from trainer.training.gradient import check_loss
from trainer.training.initial import initial_config, initial_model
from trainer.training.interruption import interruption
from trainer.training.mesh import device_mesh, put_whole, whole
from trainer.training.profiling import profiler
from trainer.training.run import PROFILE, Run
from trainer.training.state import TrainState, abstract_items, initial_state
from trainer.training.step import make_step
from trainer.training.steps import Steps


@dataclass(frozen=True)
class RunSummary:
    """What a call of `train` did."""

    steps: int
    """Batches that the network has learned from, in all."""
    seconds: float
    """Spent on these steps, in all calls together."""
    images_per_second: float | None
    """Photos learned from by this call, each second, without its first step, which compiles; None
    where it took fewer than three, of which too little is seen."""
    final_loss: float | None
    """Of the last batch; None where there was none."""
    resumed_from: int | None
    """The checkpoint that this call went on from; None where it began."""
    interrupted_by: str | None = None
    """The signal that came too late to stop training; None where none did."""

    def check_not_interrupted(self) -> None:
        """For who goes on after training: leave where a signal asked for that.

        Raises:
            TrainingError: one did.
        """
        if self.interrupted_by is not None:
            raise TrainingError(
                f"{self.interrupted_by} came as training ended: it is saved, and nothing more was "
                "done. Run the same command again to go on."
            )

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
    interrupted_by: Callable[[], str | None] | None = None,
) -> RunSummary:
    """Train until the experiment's last step, from the run's last checkpoint if it has one.

    Steps are the same, on the same CPUs bit for bit, however often training was interrupted; for
    GPUs see `trainer.training.determinism`. SIGTERM and SIGINT save a checkpoint and leave, in all
    processes where one is told; while the first step compiles they act as ever, for nothing is to
    be saved, and after the last step they only wait for it to be saved.

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
        interrupted_by: asked before each step for the name of a signal that came, None as long as
            none did; without it, this process's own signals count.

    Raises:
        ExperimentChanged: the run belongs to another experiment or catalogue.
        NotFinite: the loss or a gradient is; the last checkpoint is from before.
        TrainingError: too few products to train on, or interrupted by a signal.
        DamagedCheckpoint: none of the run's checkpoints can be read.
        LookalikeError: the loss has no such option, or a tracker could not be opened.
        CatalogError, WeightsError: what was given cannot be read.
    """
    keep_compiled_programs()
    run = Run(run_url)
    config = initial_config(experiment)
    check_loss(experiment)
    with primary_first("trackers"):
        # Processes of a cluster see the same figures: one of them tells.
        told = trackers if is_primary() else None
        check_trackers(told or ())
    mesh = device_mesh(
        experiment.batch_size if experiment.steps else 0, parts=experiment.gradient_chunks
    )
    run.claim(experiment, config, catalog)
    # The stack is left last: it holds a signal back until the last checkpoint is complete.
    with ExitStack() as held, run.checkpoints() as checkpoints:
        with primary_first("split"):
            split = run.split(catalog, on_bad_photo=on_bad_photo)
        # Without a step there is nothing to learn proxies for.
        classes = len({photo.product_id for photo in split.train.photos}) if experiment.steps else 0
        state = checkpoints.newest(abstract_items(experiment, config, classes, whole(mesh)))
        resumed_from = None if state is None else int(jax.device_get(state.step))
        seconds = 0.0
        if resumed_from is not None:
            done = checkpoints.progress(resumed_from)
            if resumed_from == experiment.steps:
                console.print(f"{run.url} is trained: {resumed_from} steps, nothing to do.")
                return RunSummary(resumed_from, done["seconds"], None, done["loss"], resumed_from)
            seconds = done["seconds"]
        if state is None:
            arrays = to_flat(initial_model(experiment, config))
            state = _everywhere(mesh, initial_state(experiment, config, arrays, classes))
        if experiment.steps == 0:
            checkpoints.save(state, {"seconds": 0.0, "loss": None})
            return RunSummary(0, 0.0, None, None, None)
        batches = training_batches(
            split.train,
            experiment,
            start_step=resumed_from or 0,
            workers=workers,
            shard=share(),
            resize=resize_on(mesh),
        )
        train_step = make_step(experiment, config, mesh)

        def listen() -> Callable[[], str | None]:
            return interrupted_by or held.enter_context(interruption())

        with (
            _trackers(told, run, experiment, batches.start_step + 1) as curves,
            profiler(_traces(run) if profile else None, batches.start_step) as trace,
        ):
            training = Steps(experiment, config, mesh, batches, checkpoints, curves, seconds)
            training.run(train_step, state, trace, listen)
    return RunSummary(
        experiment.steps,
        training.seconds,
        training.clock.photos_per_second,
        training.loss,
        resumed_from,
        training.interrupted_by(),
    )


def _trackers(
    names: Sequence[TrackerName] | None, run: Run, experiment: Experiment, start_step: int
) -> Tracker:
    """Open them; None: nothing is told to anybody."""
    if names is None:
        return Trackers([])
    return open_trackers(names, run.storage, config=experiment.to_dict(), start_step=start_step)


def _traces(run: Run) -> Storage:
    """Where this process's traces go: those of several would replace each other."""
    index, count = share()
    return run.storage.child(PROFILE if count == 1 else f"{PROFILE}/process-{index}")


def _everywhere(mesh: Mesh, state: TrainState) -> TrainState:
    placed: TrainState = jax.tree.map(partial(put_whole, mesh), state)
    return placed
