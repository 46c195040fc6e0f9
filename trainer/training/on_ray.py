"""Training on the nodes of a Ray cluster: Ray Train supplies the workers and starts them again.

Each worker is a process that joins the others as `trainer.training.distributed` does everywhere,
and calls `train`: checkpoints, curves and reports are the run's own, wherever its workers are.
"""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, cast

import ray
import ray.exceptions
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.collective import broadcast_from_rank_zero
from ray.train.v2.jax import JaxConfig, JaxTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainer.data.catalog import open_catalog
from trainer.data.screen import OnBadPhoto
from trainer.errors import LookalikeError, TrainingError
from trainer.progress import console
from trainer.tracking import TrackerName
from trainer.training.allocation import keep_freed_memory
from trainer.training.distributed import MAY_PASS, Place, connect
from trainer.training.experiment import Experiment
from trainer.training.interruption import interruption
from trainer.training.loop import RunSummary, train

_WORD_EVERY_SECONDS = 0.25
# Where one worker refuses, the others find the same and leave, or are not waited for.
_LEAVING_SECONDS = 60.0


@dataclass(frozen=True)
class Task:
    """What every worker does: the arguments of `train`, with paths that all nodes can reach."""

    catalog: str
    run: str
    experiment: Experiment
    on_bad_photo: OnBadPhoto
    trackers: Sequence[TrackerName]
    profile: bool


@dataclass(frozen=True)
class Crew:
    """Who does it.

    Raises:
        TrainingError: no worker, or chips that need no Ray.
    """

    address: str | None
    """Of the cluster; None: RAY_ADDRESS, else the one that this machine is a node of."""
    workers: int
    """Each is on a node of its own."""
    resources: Mapping[str, float]
    """What each needs of its node, in Ray's names; nothing: one CPU."""
    restarts: int
    """How often all may begin again from the last checkpoint, where one is lost."""
    environment: Mapping[str, str]
    """Variables that the workers get."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise TrainingError(f"--ray-workers: expected at least 1; found {self.workers}.")
        if "TPU" in self.resources:
            raise TrainingError(
                "--ray-resources: expected CPU, GPU or names of your own; found TPU. The hosts of "
                "a slice find each other without Ray: train on each, --distributed on."
            )


def train_on_ray(task: Task, crew: Crew) -> RunSummary:
    """Train on a cluster; what the first worker prints appears here.

    SIGTERM and SIGINT reach the workers, which all save the same step and leave. Where a worker is
    lost, all begin again from the last checkpoint, on a spare node if its own is gone.

    Returns:
        What `train` returned.

    Raises:
        TrainingError: there is no cluster, a worker refused, or one was lost once too often.
    """
    # Ray tells of lost nodes on stdout, which is for results.
    with (
        redirect_stdout(sys.stderr),
        TemporaryDirectory(prefix="lookalike-ray-") as folder,
        ThreadPoolExecutor(1) as pool,
    ):
        _join(crew.address or os.environ.get("RAY_ADDRESS") or "auto")
        try:
            here = ray.get_runtime_context().get_node_id()
            beside = NodeAffinitySchedulingStrategy(here, soft=False)
            link = ray.remote(num_cpus=0, scheduling_strategy=beside)(_Link).remote()
            _tell_of_missing_nodes(crew)
            with interruption() as interrupted_by:
                # In another thread Ray Train leaves the signals alone.
                training = pool.submit(_trainer(task, crew, link, folder).fit)
                refusal = _listen(link, training.done, interrupted_by)
            if refusal is not None:
                raise TrainingError(refusal)
            return cast(RunSummary, training.result().return_value)
        except ray.train.TrainingFailedError as error:
            raise TrainingError(
                f"Training on Ray ended, after {crew.restarts} restarts that were allowed: {error}"
            ) from error
        finally:
            # What still runs of it ends, and with it the thread that waits.
            ray.shutdown()


def _join(address: str) -> None:
    try:
        if address != "auto":
            # Ray itself would try again for a quarter of an hour.
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        # What workers print comes by the link: once, and as it was meant.
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise TrainingError(
            f"Expected a Ray cluster at {address}, and this machine one of its nodes; found none: "
            f"{error}. Start one with `ray start --head`, join with `ray start --address=…`, and "
            "name it by --ray-address or RAY_ADDRESS."
        ) from error


def _tell_of_missing_nodes(crew: Crew) -> None:
    needs = dict(crew.resources) or {"CPU": 1.0}
    fit = sum(
        node["Alive"] and all(node["Resources"].get(k, 0) >= v for k, v in needs.items())
        for node in ray.nodes()
    )
    if fit < crew.workers:
        each = ", ".join(f"{name} {count:g}" for name, count in needs.items())
        console.print(
            f"Waiting for {crew.workers} nodes with {each}: the cluster has {fit}.",
            soft_wrap=True,
            highlight=False,
        )


def _trainer(task: Task, crew: Crew, link: Any, folder: str) -> JaxTrainer:
    environment = dict(crew.environment)
    if console.is_terminal:
        # A bar is drawn where it is counted, for the terminal where it is seen.
        seen = {name: os.environ.get(name) for name in ("TERM", "COLORTERM", "NO_COLOR")}
        environment |= {name: value for name, value in seen.items() if value is not None}
        environment |= {"TTY_COMPATIBLE": "1", "COLUMNS": str(console.width)}
    return JaxTrainer(
        _work,
        train_loop_config={"task": task, "link": link, "restarts": crew.restarts},
        # `connect` joins, as on every other host.
        jax_config=JaxConfig(use_tpu=False, use_gpu=False),
        scaling_config=ScalingConfig(
            num_workers=crew.workers,
            use_gpu="GPU" in crew.resources,
            resources_per_worker=dict(crew.resources) or None,
            # One takes all processors and chips of its host.
            placement_strategy="STRICT_SPREAD",
        ),
        run_config=RunConfig(
            # Ray Train must have one, and puts nothing there: it is given no checkpoint.
            storage_path=folder,
            failure_config=FailureConfig(max_failures=crew.restarts),
            worker_runtime_env={"env_vars": environment},
        ),
    )


def _listen(
    link: Any, done: Callable[[], bool], interrupted_by: Callable[[], str | None]
) -> str | None:
    """Show what workers print and tell them of a signal, until they have ended; why they refused.

    Returns before their end where a signal came and none has begun, or some cannot leave.
    """
    refused_at: float | None = None
    while True:
        ended = done()
        signal = interrupted_by()
        text, begun, refusal = ray.get(link.hear.remote(signal))
        console.file.write(text)
        console.file.flush()
        if ended:
            return cast(str | None, refusal)
        if signal and not begun:
            return f"{signal} stopped training before it began."
        if refusal is not None:
            refused_at = refused_at or time.monotonic()
            if time.monotonic() - refused_at > _LEAVING_SECONDS:
                return cast(str, refusal)
        time.sleep(_WORD_EVERY_SECONDS)


class _Link:
    """Between workers and driver, as an actor: words go one way, a signal's name the other."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._signal: str | None = None
        self._refusals: dict[int, str] = {}
        self._begun = 0

    def begin(self, index: int) -> tuple[int, bool]:
        """A worker begins: how often the first one has, and whether all is over already."""
        self._begun += index == 0
        return self._begun, bool(self._refusals)

    def say(self, text: str) -> str | None:
        """A worker's words for the terminal; what signal came."""
        self._text.append(text)
        return self._signal

    def refuse(self, index: int, why: str) -> None:
        """A worker ends by its own decision."""
        self._refusals[index] = why

    def hear(self, signal: str | None) -> tuple[str, bool, str | None]:
        """What was said since, whether a worker has begun, and the first worker's refusal."""
        self._signal = signal
        text, self._text = "".join(self._text), []
        refusal = self._refusals[min(self._refusals)] if self._refusals else None
        return text, self._begun > 0, refusal


def _work(config: Mapping[str, Any]) -> RunSummary | None:
    """What a worker does, each time that all begin; None where it refused."""
    task, link = cast(Task, config["task"]), config["link"]
    context = ray.train.get_context()
    index, count = context.get_world_rank(), context.get_world_size()
    begun, over = ray.get(link.begin.remote(index))
    if over:
        return None
    with _Line(link) as line:
        console.file = line
        console.quiet = index > 0
        if begun > 1:
            console.print(
                "A worker was lost: all begin again from the last checkpoint "
                f"({config['restarts'] - begun + 1} restarts left)."
            )
        try:
            keep_freed_memory()
            catalog = open_catalog(task.catalog)
            address = broadcast_from_rank_zero(_own_address() if index == 0 else None)
            connect("on", Place(address, count, index))
            return train(
                catalog,
                task.run,
                task.experiment,
                on_bad_photo=task.on_bad_photo,
                trackers=task.trackers,
                profile=task.profile,
                interrupted_by=line.interrupted_by,
            )
        except MAY_PASS as error:
            # Ray Train begins again with all.
            console.quiet = False
            console.print(
                f"This worker ({ray.util.get_node_ip_address()}) cannot go on with the others: "
                f"{error}",
                soft_wrap=True,
                highlight=False,
            )
            raise
        except LookalikeError as error:
            where = "" if index == 0 else f"On {ray.util.get_node_ip_address()}: "
            ray.get(link.refuse.remote(index, f"{where}{error}"))
            return None


def _own_address() -> str:
    """Where the others can reach this node, at a port that is free."""
    host = ray.util.get_node_ip_address()
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


class _Line(StringIO):
    """A worker's end of the link: a file for its console, and the signal that came."""

    def __init__(self, link: Any) -> None:
        super().__init__()
        self._link = link
        self._lock = threading.Lock()
        self._signal: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_in_touch, daemon=True)

    def __enter__(self) -> "_Line":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def write(self, text: str) -> int:
        with self._lock:
            return super().write(text)

    def interrupted_by(self) -> str | None:
        """The name of the signal that came to the driver."""
        return self._signal

    def _keep_in_touch(self) -> None:
        ended = False
        while not ended:
            ended = self._over.wait(_WORD_EVERY_SECONDS)
            with self._lock:
                text = self.getvalue()
                self.seek(0)
                self.truncate()
            try:
                self._signal = ray.get(self._link.say.remote(text))
            except ray.exceptions.RayError:
                # The driver is gone, and this worker will be.
                return
