"""Training on the nodes of a Ray cluster: Ray Train supplies the workers and starts them again.

Each worker is a process that joins the others as `trainer.training.distributed` does everywhere,
and calls `train`: checkpoints, curves and reports are the run's own, wherever its workers are.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, cast

import ray
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.jax import JaxConfig, JaxTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainer.cluster import connected
from trainer.errors import TrainingError
from trainer.progress import console
from trainer.training.interruption import interruption
from trainer.training.loop import RunSummary
from trainer.training.ray_link import Link, listen
from trainer.training.ray_worker import Task, work


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
        TrainingError: a worker refused, or one was lost once too often.
        LookalikeError: there is no cluster.
    """
    # The cluster is left before the thread is waited for: what it waits for has then ended.
    with (
        TemporaryDirectory(prefix="lookalike-ray-") as folder,
        ThreadPoolExecutor(1) as pool,
        connected(crew.address, "Training on Ray", otherwise="auto"),
    ):
        here = ray.get_runtime_context().get_node_id()
        beside = NodeAffinitySchedulingStrategy(here, soft=False)
        link = ray.remote(num_cpus=0, scheduling_strategy=beside)(Link).remote()
        _tell_of_missing_nodes(crew)
        with interruption() as interrupted_by:
            # In another thread Ray Train leaves the signals alone.
            training = pool.submit(_trainer(task, crew, link, folder).fit)
            refusal = listen(link, training.done, interrupted_by)
        if refusal is not None:
            raise TrainingError(refusal)
        try:
            return cast(RunSummary, training.result().return_value)
        except ray.train.TrainingFailedError as error:
            raise TrainingError(
                f"Training on Ray ended, after {crew.restarts} restarts that were allowed: {error}"
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
        work,
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
