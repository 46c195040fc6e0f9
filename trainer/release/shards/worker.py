"""The work itself: from a shard's photos to its vectors, in the shape of Ray Data's map_batches."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from function.embedder import Embedder, open_embedder
from function.errors import ReleaseError
from function.golden import check_golden
from function.manifest import GOLDEN, OPENVINO_PROGRAMS
from function.photo import load_pixels
from function.processor import int8_instructions
from function.release import file_info
from function.storage import open_storage
from trainer.data.catalog import open_source
from trainer.data.records import Photo, Source
from trainer.data.screen import OnBadPhoto
from trainer.errors import CatalogError, PublishError, UnreadablePhoto
from trainer.release.copies import Signature, Signatures, signature
from trainer.release.embedding import SERVING_ENGINE, EmbeddedCatalog, decoded, place, read_photo
from trainer.release.images import ImageStore, StoredPhoto
from trainer.release.publication import OUTAGE_SECONDS
from trainer.release.shards.columns import read_photos, write_embedded
from trainer.release.shards.job import PROGRAM, Job, Plan
from trainer.release.shards.ordered import in_order

# Photos under way: enough to hide one slow read.
_AHEAD = 48


@dataclass(frozen=True)
class Opened:
    """What a worker needs, where the publisher has it open already.

    Attributes:
        job: whose shards.
        embedder: the job's program.
        source: of the photos.
        images: takes the photos without a URL.
    """

    job: Job
    embedder: Embedder
    source: Source
    images: ImageStore


class EmbedShards:
    """Embeds shards of a job, and stores their photos that have no URL.

    A shard that is done is left alone; one that is done twice gets the same bytes.
    """

    def __init__(
        self,
        job: Opened | tuple[str, str],
        *,
        threads: int | None = None,
        on_bad_photo: OnBadPhoto = "skip",
        advance: Callable[[int], None] = lambda photos: None,
    ) -> None:
        """Open what is needed.

        Args:
            job: what is open already; or the root and the job's name, from which all else is found.
            threads: that read, decode, embed and store; None: one per processor.
            on_bad_photo: "skip" lists a photo that cannot be read in the shard's marker; "fail"
                raises.
            advance: told of photos as they are done.

        Raises:
            CatalogError: this machine does not see the photos.
            PublishError: no such job, or a program that gives other vectors here.
            StorageError: the root cannot be read.
        """
        opened = job if isinstance(job, Opened) else open_job(*job, threads)
        self._job, self._plan = opened.job, opened.job.plan()
        self._embedder = opened.embedder
        self._source, self._images = opened.source, opened.images
        self._fail = on_bad_photo == "fail"
        self._advance = advance
        self._pool = ThreadPoolExecutor(threads or os.cpu_count())

    def __call__(self, batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        """Embed some shards.

        Args:
            batch: their numbers, as "shard", int64 [n].

        Returns:
            "shard" again, and of each "photos" and of these "unreadable", int64 [n]; "embedded" is
            1, or 0 where it was done already.

        Raises:
            UnreadablePhoto: a photo cannot be read, and `on_bad_photo` is "fail".
            PublishError: the job was removed meanwhile.
            StorageError: the root cannot be read or written.
        """
        told = [self._complete(number) for number in batch["shard"].tolist()]
        columns = zip(*told, strict=True)
        return {
            name: np.array(column, np.int64)
            for name, column in zip(_Told._fields, columns, strict=True)
        }

    def _complete(self, shard: int) -> "_Told":
        if (known := self._job.completion(shard)) is not None:
            return _Told(shard, self._plan.rows_of(shard), len(known.unreadable), 0)
        name = self._job.photos_name(shard)
        photos = read_photos(self._job.read(name), name)
        first = self._plan.first_row(shard)
        done: list[_Embedded] = []
        rows: list[int] = []
        unreadable: list[tuple[int, str, str]] = []
        results = in_order(self._pool, self._embed, iter(photos), ahead=_AHEAD)
        for row, (photo, result) in enumerate(zip(photos, results, strict=True), start=first):
            if isinstance(result, str):
                unreadable.append((row, place(photo), result))
            else:
                rows.append(row)
                done.append(result)
            self._advance(1)
        vectors = [photo.vector for photo in done]
        embedded = EmbeddedCatalog(
            np.concatenate(vectors) if done else np.empty((0, self._embedder.dim), np.float32),
            tuple(photo.stored for photo in done),
            Signatures.of([photo.signature for photo in done]),
        )
        data = write_embedded(np.array(rows, np.int64), embedded)
        self._job.complete(shard, data, unreadable)
        return _Told(shard, len(photos), len(unreadable), 1)

    def _embed(self, photo: Photo) -> "_Embedded | str":
        """Embed a photo; where it cannot be read, say why."""
        try:
            data = read_photo(self._source, photo)
            pixels = decoded(photo, lambda: load_pixels(data, self._embedder.image_size))
            stored = None if photo.image_url else decoded(photo, lambda: self._images.add(data))
        except UnreadablePhoto as error:
            if self._fail:
                raise
            return error.reason
        return _Embedded(self._embedder.embed(pixels[None]), signature(pixels), stored)


class _Embedded(NamedTuple):
    vector: Float[np.ndarray, "1 dim"]
    signature: Signature
    stored: StoredPhoto | None


class _Told(NamedTuple):
    shard: int
    photos: int
    unreadable: int
    embedded: int


def open_job(root: str, job_id: str, threads: int | None) -> Opened:
    """Open a job elsewhere than where it is published.

    Args:
        root: as the publisher names it.
        job_id: which.
        threads: as for `open_embedder`.

    Raises: as `EmbedShards`.
    """
    storage = open_storage(root, retry_seconds=OUTAGE_SECONDS)
    job = Job(storage, job_id)
    plan = job.plan()
    try:
        source = open_source(plan.catalog, listed_elsewhere=not plan.here)
    except CatalogError as error:
        raise CatalogError(
            f"{error}. Every worker must see the photos under this path: put them on a file system "
            "that all share, or on gs://"
        ) from error
    # Millions of names that one worker does not need are not listed.
    return Opened(job, _fetched(job, plan, threads), source, ImageStore(storage, listed=False))


def _fetched(job: Job, plan: Plan, threads: int | None) -> Embedder:
    """Fetch the program, and try it: this processor may not be the publisher's."""
    if plan.precision == "int8" and not int8_instructions():
        raise PublishError(
            "The program is in int8: expected a processor with instructions for it, as AVX-512 "
            "VNNI; this worker's has none. Take other machines, or publish with --precision float."
        )
    name = OPENVINO_PROGRAMS[plan.precision]
    with TemporaryDirectory(prefix="lookalike-program-") as scratch:
        folder = Path(scratch)
        for each in (name, GOLDEN):
            (folder / each).write_bytes(job.read(f"{PROGRAM}/{each}"))
        found = file_info(folder / name).sha256
        if found != plan.program_sha256:
            raise PublishError(
                f"{PROGRAM}/{name}: expected SHA-256 {plan.program_sha256}, found {found}. "
                "Publish again."
            )
        try:
            embedder = open_embedder(
                folder, SERVING_ENGINE, precision=plan.precision, threads=threads
            )
            check_golden(embedder, folder / GOLDEN)
        except ReleaseError as error:
            raise PublishError(f"The program does not serve on this worker. {error}") from error
    return embedder
