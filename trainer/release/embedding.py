"""The catalogue's photos through the program that will serve."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from function.embedder import Embedder
from function.errors import FunctionError
from function.photo import load_pixels
from function.storage import StorageError
from trainer.data.records import Catalog, Photo
from trainer.errors import PublishError
from trainer.progress import progress_bar
from trainer.release.copies import Signature, Signatures, signature
from trainer.release.images import ImageStore, StoredPhoto

# Photos under way: enough to hide one slow read.
_AHEAD = 48


@dataclass(frozen=True)
class EmbeddedCatalog:
    """What became of each photo, in the catalogue's order.

    Attributes:
        vectors: unit rows.
        stored: where the photo was stored; None for one that has a URL.
        signatures: what copies are recognised by; None: no photo is taken for another's copy.
    """

    vectors: Float[np.ndarray, "photos dim"]
    stored: tuple[StoredPhoto | None, ...]
    signatures: Signatures | None = None


def embed_catalog(
    catalog: Catalog, embedder: Embedder, images: ImageStore, *, workers: int | None = None
) -> EmbeddedCatalog:
    """Embed every photo, and store those that have no URL.

    Args:
        catalog: photos that can be decoded.
        embedder: the serving program.
        images: takes the photos without a URL.
        workers: threads that read, decode, embed and store; None: one per processor.

    Raises:
        PublishError: a photo cannot be read, with its name and row.
    """

    def embed(photo: Photo) -> _Embedded:
        data = read_photo(catalog, photo)
        pixels = decoded(photo, lambda: load_pixels(data, embedder.image_size))
        stored = None if photo.image_url else decoded(photo, lambda: images.add(data))
        return _Embedded(embedder.embed(pixels[None]), signature(pixels), stored)

    vectors: list[Float[np.ndarray, "1 dim"]] = []
    signatures: list[Signature] = []
    stored: list[StoredPhoto | None] = []
    total = len(catalog.photos)
    with (
        ThreadPoolExecutor(workers or os.cpu_count()) as pool,
        progress_bar("Embedding photos", total) as bar,
    ):
        for photo in _ahead(pool, embed, iter(catalog.photos)):
            vectors.append(photo.vector)
            signatures.append(photo.signature)
            stored.append(photo.stored)
            bar.advance(1)
    rows = np.concatenate(vectors) if vectors else np.empty((0, embedder.dim), np.float32)
    return EmbeddedCatalog(rows, tuple(stored), Signatures.of(signatures))


class _Embedded(NamedTuple):
    vector: Float[np.ndarray, "1 dim"]
    signature: Signature
    stored: StoredPhoto | None


def _ahead[T, R](
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterator[T]
) -> Iterator[R]:
    """Yield results in order while a bounded number of later ones is under way."""
    pending: deque[Future[R]] = deque()
    try:
        while True:
            missing = _AHEAD - len(pending)
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
