"""`lookalike train`: an experiment on a catalogue becomes a run."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from trainer import experiments
from trainer.cli.options import OnBadPhoto, TrackerName, named_experiment
from trainer.cli.output import print_json
from trainer.errors import PeersUnreachable, TrainingError
from trainer.extras import require
from trainer.progress import console
from trainer.training.allocation import keep_freed_memory
from trainer.training.determinism import compute_deterministically
from trainer.training.experiment import Experiment
from trainer.training.supervisor import PEER_LOST_STATUS, supervise

type Distributed = Literal["auto", "on", "off", "ray"]

# Set for the process that trains, by the one that watches it.
_SUPERVISED = "LOOKALIKE_SUPERVISED"


@dataclass(frozen=True)
class Train:
    """Train a network on a catalogue, so that photos of one product come to lie together.

    Run the same command again after an interruption and it goes on from the last checkpoint.
    """

    command_line: ClassVar[Sequence[str]]
    """What this was read from, and what a process that trains is given again."""

    catalog: str
    """Folder, tar, CSV, JSON Lines or Parquet file."""
    run: str
    """Where checkpoints, logs and reports go: a folder or gs://bucket/prefix."""
    settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=Experiment)
    """What to train and how; these options override the named experiment's values."""
    experiment: str = "default"
    """A named experiment to start from."""
    distributed: Distributed = "auto"
    """Train with the other hosts of this TPU slice, GKE or Slurm job: where there are any (auto),
    must (on), or never (off); elsewhere JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID name them. Or have a Ray cluster train, of which this machine is a node (ray);
    catalogue and run must lie where all its nodes reach them."""
    restarts: int = 0
    """Start again, this often at most, when training is killed or another host is lost; on all
    hosts alike, so that they go on from the last checkpoint together."""
    ray_address: str | None = None
    """The head of the Ray cluster, host:port; else RAY_ADDRESS, or the cluster of this machine."""
    ray_workers: int | None = None
    """How many of its nodes train, one process on each: 2; a node more is a spare."""
    ray_resources: dict[str, float] = field(default_factory=dict)
    """What each of these nodes must have, in Ray's names, as: CPU 8 GPU 1. Without, a CPU."""
    deterministic: bool = False
    """Ask XLA for the same bits on every run on GPUs too, so that an interrupted training ends as
    one that was not. It costs speed: kernels whose sums vary are left out, and none is chosen by
    timing. CPUs need none of it. Give it at every start of the run."""
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    """Where curves go, beside the run's curves.jsonl."""
    profile: bool = False
    """Trace five early steps into the run's profile/, for TensorBoard and ui.perfetto.dev."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    json: bool = False
    """Print the summary as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Train, or go on training."""
        if self.restarts and self.distributed != "ray" and _SUPERVISED not in os.environ:
            command = [sys.executable, "-m", "trainer", *self.command_line]
            sys.exit(supervise(command, self.restarts, {**os.environ, _SUPERVISED: "1"}))
        if self.deterministic:
            compute_deterministically()
        if self.distributed == "ray":
            self._train_on_ray()
        elif self.ray_address or self.ray_resources or self.ray_workers is not None:
            raise TrainingError("--ray-… options are for --distributed ray; found them without.")
        else:
            self._train(self.distributed)

    def _train(self, distributed: Literal["auto", "on", "off"]) -> None:
        keep_freed_memory()
        import jax

        from trainer.data.catalog import open_catalog
        from trainer.training.distributed import MAY_PASS, connect, is_primary
        from trainer.training.loop import train

        catalog = open_catalog(self.catalog)
        try:
            connect(distributed)
        except PeersUnreachable as error:
            console.print(f"[red]✗[/] {error}", soft_wrap=True, highlight=False)
            sys.exit(PEER_LOST_STATUS)
        try:
            summary = train(
                catalog,
                self.run,
                self.settings,
                on_bad_photo=self.on_bad_photo,
                trackers=self.trackers,
                profile=self.profile,
            )
        except MAY_PASS as error:
            if jax.process_count() == 1:
                raise
            # Most likely another process is gone, or the storage was away for a moment. Leaving in
            # order would wait for the others, who wait for this one.
            sys.stderr.write(f"This process cannot go on with the others: {error}\n")
            sys.stderr.flush()
            os._exit(PEER_LOST_STATUS)
        if self.json and is_primary():
            print_json(summary.to_dict())

    def _train_on_ray(self) -> None:
        require("ray.train", "ray", "Training on Ray")
        from trainer.training.on_ray import Crew, train_on_ray
        from trainer.training.ray_worker import Task

        weights = self.settings.weights
        task = Task(
            catalog=_absolute(self.catalog),
            run=_absolute(self.run),
            experiment=replace(self.settings, weights=weights and weights.absolute()),
            on_bad_photo=self.on_bad_photo,
            trackers=self.trackers,
            profile=self.profile,
        )
        crew = Crew(
            address=self.ray_address,
            workers=2 if self.ray_workers is None else self.ray_workers,
            resources=self.ray_resources,
            restarts=self.restarts,
            environment={"XLA_FLAGS": os.environ["XLA_FLAGS"]} if self.deterministic else {},
        )
        summary = train_on_ray(task, crew)
        if self.json:
            print_json(summary.to_dict())


def _absolute(location: str) -> str:
    """A path as other processes see it; gs:// as it is."""
    return location if "://" in location else str(Path(location).absolute())


def train_command(argv: Sequence[str]) -> type[Train]:
    """Return `Train` whose defaults are those of the experiment that the arguments name.

    Raises:
        TrainingError: there is none of that name.
    """
    named = named_experiment(argv)

    @dataclass(frozen=True)
    class TrainNamed(Train):
        command_line: ClassVar[Sequence[str]] = tuple(argv)
        __doc__ = f"{Train.__doc__}Named experiments: {', '.join(experiments.names())}."
        settings: tyro.conf.OmitArgPrefixes[Experiment] = field(default_factory=lambda: named)
        """What to train and how; these options override the named experiment's values."""

    return TrainNamed
