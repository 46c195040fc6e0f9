"""A worker of Ray Train: a process that joins the others and trains, as on any other host."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ray
import ray.train
from ray.train.collective import broadcast_from_rank_zero

from trainer.data.catalog import open_catalog
from trainer.data.screen import OnBadPhoto
from trainer.errors import LookalikeError
from trainer.progress import console
from trainer.tracking import TrackerName
from trainer.training.allocation import keep_freed_memory
from trainer.training.distributed import MAY_PASS, Place, connect
from trainer.training.experiment import Experiment
from trainer.training.loop import RunSummary, train
from trainer.training.ray_link import Line


@dataclass(frozen=True)
class Task:
    """What every worker does: the arguments of `train`, with paths that all nodes can reach."""

    catalog: str
    run: str
    experiment: Experiment
    on_bad_photo: OnBadPhoto
    trackers: Sequence[TrackerName]
    profile: bool


def work(config: Mapping[str, Any]) -> RunSummary | None:
    """What a worker does, each time that all begin; None where it refused."""
    task, link = cast(Task, config["task"]), config["link"]
    context = ray.train.get_context()
    index, count = context.get_world_rank(), context.get_world_size()
    begun, over = ray.get(link.begin.remote(index))
    if over:
        return None
    with Line(link) as line:
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
