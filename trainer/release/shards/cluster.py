"""Shards embedded by a Ray cluster: https://docs.ray.io/en/latest/data/data.html.

Ray spreads shards over its workers, starts others for those that are lost, and gives their shards
out again; what makes that safe is that a shard done twice is the same shard.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from function.storage import StorageError
from trainer.cluster import connected
from trainer.data.screen import OnBadPhoto
from trainer.errors import LookalikeError, PublishError
from trainer.release.shards.job import PROGRAM, Job
from trainer.release.shards.planning import OpenProgram
from trainer.release.shards.worker import EmbedShards

# Ray holds something of every block; of many shards, several make one.
_MOST_BLOCKS = 10_000
# What Ray is needed for, for people.
PURPOSE = "--runner ray"


@dataclass(frozen=True)
class Cluster:
    """Where workers run.

    Attributes:
        address: of a Ray cluster that this machine is a node of, as HOST:6379; None: RAY_ADDRESS,
            or the one that this machine was made a node of.
        workers: at most so many at once, each with a processor; None: as many as the cluster has
            processors, but one: what is left lets lost work be given out again.
    """

    address: str | None = None
    workers: int | None = None


def run_on_cluster(
    cluster: Cluster,
    job: Job,
    program: OpenProgram,
    shards: Sequence[int],
    *,
    on_bad_photo: OnBadPhoto,
    advance: Callable[[int], None],
) -> None:
    """Embed shards on all machines of a cluster.

    Args:
        cluster: which.
        job: whose shards; its root must be the same place for all machines, as gs:// is.
        program: put where workers fetch it.
        shards: their numbers.
        on_bad_photo, advance: as for `EmbedShards`.

    Raises:
        CatalogError, StorageError: as `EmbedShards`, of a worker.
        PublishError: as `EmbedShards`; or the cluster has failed.
        LookalikeError: Ray is not installed, or the cluster is not there.
    """
    for name in program.files:
        job.storage.upload(program.folder / name, f"{PROGRAM}/{name}")
    blocks = min(len(shards), _MOST_BLOCKS)
    with connected(cluster.address, PURPOSE, otherwise="auto"):
        import ray.data

        # Its plans and figures are in its own files; what is wrong is raised.
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.enable_auto_log_stats = False
        processors = int(ray.cluster_resources().get("CPU", 1))
        workers = min(blocks, cluster.workers or max(1, processors - 1))
        items = [{"shard": shard} for shard in shards]
        embedded = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
            EmbedShards,
            fn_constructor_args=((job.root.url, job.job_id),),
            fn_constructor_kwargs={"threads": 1, "on_bad_photo": on_bad_photo},
            batch_size=1,
            num_cpus=1,
            # A lost node leaves fewer than there were: that is no reason to wait.
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        )
        try:
            for row in embedded.iter_rows():
                advance(int(row["photos"]))
        except Exception as error:  # Ray's own, around a worker's
            raise _worker_error(error) from error


def _worker_error(error: BaseException) -> Exception:
    """Return what a worker raised, as it would be raised here; else that the cluster has failed."""
    seen: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        # What Ray raises in a worker's name is of its class as well, and tells the whole trace.
        cause = getattr(one, "cause", None)
        if cause is None and isinstance(one, LookalikeError | StorageError):
            return one
        pending += [one.__cause__, one.__context__, cause]
    return PublishError(
        f"The Ray cluster has failed ({type(error).__name__}: {error}). What is embedded is kept: "
        "publish again to go on."
    )
