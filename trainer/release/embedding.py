"""The catalogue's photos through the program that will serve."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from function.embedder import Embedder
from function.errors import FunctionError
from function.photo import load_pixels
from function.storage import StorageError
from trainer.data.records import Catalog, Photo
from trainer.errors import PublishError
from trainer.progress import progress_bar
from trainer.release.copies import Signature, same_pictures, signature
from trainer.release.images import ImageStore, StoredPhoto

_BATCH = 16

# Photos decoded ahead of the network, in batches: enough to hide one slow read.
_BATCHES_AHEAD = 3


@dataclass(frozen=True)
class EmbeddedCatalog:
    """What became of each photo, in the catalogue's order.

    Attributes:
        vectors: unit rows.
        stored: where the photo was stored; None for one that has a URL.
        pictures: the first photo that shows the same picture; None: each shows its own.
    """

    vectors: Float[np.ndarray, "photos dim"]
    stored: tuple[StoredPhoto | None, ...]
    pictures: Int[np.ndarray, " photos"] | None = None


def embed_catalog(
    catalog: Catalog, embedder: Embedder, images: ImageStore, *, workers: int | None = None
) -> EmbeddedCatalog:
    """Embed every photo, store those that have no URL, and group those that are copies.

    Args:
        catalog: photos that can be decoded.
        embedder: the serving program.
        images: takes the photos without a URL.
        workers: threads that read, decode and store; None: one per processor.

    Raises:
        PublishError: a photo cannot be read, with its name and row.
    """

    def prepare(photo: Photo) -> _Prepared:
        data = read_photo(catalog, photo)
        pixels = decoded(photo, lambda: load_pixels(data, embedder.image_size))
        stored = None if photo.image_url else decoded(photo, lambda: images.add(data))
        return _Prepared(pixels, signature(pixels), stored)

    vectors: list[Float[np.ndarray, "batch dim"]] = []
    signatures: list[Signature] = []
    stored: list[StoredPhoto | None] = []
    total = len(catalog.photos)
    with (
        ThreadPoolExecutor(workers or os.cpu_count()) as pool,
        progress_bar("Embedding photos", total) as bar,
    ):
        prepared = _ahead(pool, prepare, iter(catalog.photos))
        while batch := list(islice(prepared, _BATCH)):
            vectors.append(embedder.embed(np.stack([photo.pixels for photo in batch])))
            signatures += [photo.signature for photo in batch]
            stored += [photo.stored for photo in batch]
            bar.advance(len(batch))
    return EmbeddedCatalog(np.concatenate(vectors), tuple(stored), same_pictures(signatures))


class _Prepared(NamedTuple):
    pixels: UInt8[np.ndarray, "size size 3"]
    signature: Signature
    stored: StoredPhoto | None


def _ahead[T, R](
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterator[T]
) -> Iterator[R]:
    """Yield results in order while a bounded number of later ones is under way."""
    pending: deque[Future[R]] = deque()
    try:
        while True:
            missing = _BATCH * _BATCHES_AHEAD - len(pending)
            pending.extend(pool.submit(work, item) for item in islice(items, missing))
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def read_photo(catalog: Catalog, photo: Photo) -> bytes:
    """Return a photo's bytes; PublishError names one that is gone."""
    try:
        return catalog.read(photo)
    except OSError as error:
        raise PublishError(f"{place(photo)}: cannot be read: {error}") from error


def decoded[R](photo: Photo, work: Callable[[], R]) -> R:
    """Do `work` on a photo; PublishError names one that cannot be decoded."""
    try:
        return work()
    except StorageError:
        raise
    except FunctionError as error:
        raise PublishError(f"{place(photo)}: {error.message}") from error


def place(photo: Photo) -> str:
    """Name a photo for a message."""
    return f"{photo.image} (row {photo.row})" if photo.row else photo.image
