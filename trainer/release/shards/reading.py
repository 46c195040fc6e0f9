"""What a finished job holds, shard by shard, as memory allows."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from trainer.data.records import Photo
from trainer.errors import PublishError
from trainer.release.contents import Contents, ImageIds, image_rows, products_of
from trainer.release.embedding import EmbeddedCatalog
from trainer.release.shards.columns import read_embedded, read_photos
from trainer.release.shards.job import PARALLEL_REQUESTS, Job
from trainer.release.shards.ordered import in_order


class Shard(NamedTuple):
    """What became of a shard's photos, those that could not be read left out.

    Attributes:
        rows: their numbers in the plan.
        embedded: in this order.
    """

    rows: Int[np.ndarray, " photos"]
    embedded: EmbeddedCatalog


def read_shards(job: Job) -> Iterator[Shard]:
    """Yield all shards in order, each compared with its marker.

    Raises:
        PublishError: one is missing or damaged; it is then embedded by the next attempt.
        StorageError: the root cannot be read.
    """
    plan = job.plan()
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        yield from in_order(
            pool,
            lambda shard: _read(job, shard, plan.dim),
            iter(range(plan.shards)),
            ahead=PARALLEL_REQUESTS,
        )


def read_all(job: Job) -> Shard:
    """Return all shards as one, in memory.

    Raises: as `read_shards`.
    """
    shards = list(read_shards(job))
    return Shard(
        np.concatenate([shard.rows for shard in shards]),
        EmbeddedCatalog.joined([shard.embedded for shard in shards]),
    )


def read_contents(job: Job, image_base_url: str | None) -> Iterator[Contents]:
    """Yield what a job found, shard by shard, as an index that memory need not hold is loaded.

    Rows are numbered through. A product whose photos lie in several shards comes with each of them,
    and says each time what the photos of that shard say.

    Args:
        job: finished.
        image_base_url: as for `image_rows`.

    Raises: as `read_shards`.
    """
    plan = job.plan()
    ids = ImageIds(numbered=plan.numbered)
    next_row = 0
    for number, shard in enumerate(read_shards(job)):
        photos = shard_photos(job, number, shard.rows - plan.first_row(number))
        images = image_rows(
            photos, shard.embedded.stored, image_base_url, first_row=next_row, ids=ids
        )
        next_row += len(images)
        yield Contents(
            shard.embedded.vectors, images, products_of(photos), shard.embedded.signatures
        )


def unreadable_photos(job: Job) -> Iterator[tuple[Photo, str]]:
    """Yield the photos of a finished job that could not be read, and why."""
    plan = job.plan()
    for shard, done in sorted(job.completions().items()):
        if done.unreadable:
            rows = np.array([row for row, _, _ in done.unreadable])
            photos = shard_photos(job, shard, rows - plan.first_row(shard))
            yield from zip(photos, (reason for _, _, reason in done.unreadable), strict=True)


def shard_photos(job: Job, shard: int, places: Int[np.ndarray, " photos"]) -> list[Photo]:
    """Return some of a shard's photos, by their places in it."""
    name = job.photos_name(shard)
    photos = read_photos(job.read(name), name)
    return [photos[place] for place in places.tolist()]


def _read(job: Job, shard: int, dim: int) -> Shard:
    name = job.vectors_name(shard)
    completion = job.completion(shard)
    data = b"" if completion is None else job.read(name)
    if completion is None or hashlib.sha256(data).hexdigest() != completion.sha256:
        job.reject(shard)
        raise PublishError(
            f"{job.storage.url}/{name}: expected the vectors that its marker tells of; found "
            "others, or none. Publish again: only this shard is embedded anew."
        )
    return Shard(*read_embedded(data, name, dim))
