"""Photos to arrays, on all processors, in an order that only seed and step decide."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt8
from numpy.typing import NDArray

from function.errors import FunctionError
from function.photo import load_pixels
from trainer.data.augmentation import Augmentation, augment
from trainer.data.records import Catalog, Photo
from trainer.data.sampler import PKSampler
from trainer.data.streams import Stream, generator
from trainer.errors import CatalogError

# Batches that are being made while one is used: enough that the trainer never waits for one slow
# photo, little enough that memory stays that of a few batches.
PREFETCHED_BATCHES = 2

# A batch, and what is still filling it.
type _Begun[T] = tuple[T, list[Future[None]]]
Pixels = UInt8[np.ndarray, "size size 3"]


@dataclass(frozen=True)
class Batch:
    """What one training step sees."""

    step: int
    pixels: UInt8[np.ndarray, "batch size size 3"]
    """RGB, augmented."""
    labels: Int32[np.ndarray, " batch"]
    """A number for each product; photos of one product share it."""


@dataclass(frozen=True, kw_only=True)
class TrainingBatches:
    """The batches of steps `start_step` to `stop_step - 1`, decoded ahead by threads.

    Each `for` loop starts its own threads, and ends them when it ends, is left or fails; to leave
    an iterator unfinished elsewhere, `close()` it. The batch of a step is the same after resuming
    and with any number of workers.

    Raises (while iterating):
        CatalogError: a photo that was there when the catalogue was screened cannot be read now.
    """

    catalog: Catalog
    sampler: PKSampler
    """Over the photos of `catalog`, in their order."""
    augmentation: Augmentation
    image_size: int
    """Pixels of a side."""
    seed: int
    start_step: int
    stop_step: int
    workers: int | None = None
    """Threads that decode; None: one per processor."""

    def __iter__(self) -> Iterator[Batch]:
        with _threads(self.workers) as pool:
            yield from _finished(
                self._begin(step, pool) for step in range(self.start_step, self.stop_step)
            )

    def _begin(self, step: int, pool: ThreadPoolExecutor) -> _Begun[Batch]:
        photos = self.sampler.batch(step)
        pixels = _room(len(photos), self.image_size)
        batch = Batch(step, pixels, self.sampler.labels[photos])
        return batch, [
            pool.submit(self._fill, pixels[position], self.catalog.photos[photo], step, position)
            for position, photo in enumerate(photos)
        ]

    def _fill(self, pixels: Pixels, photo: Photo, step: int, position: int) -> None:
        random = generator(self.seed, Stream.AUGMENTATION, step, position)
        with _named(photo, self.catalog):
            data = self.catalog.read(photo)
            pixels[:] = augment(data, self.image_size, self.augmentation, random)


def evaluation_batches(
    catalog: Catalog, image_size: int, batch_size: int, *, workers: int | None = None
) -> Iterator[UInt8[np.ndarray, "batch size size 3"]]:
    """Yield all photos in the catalogue's order, as the function will see them.

    Args:
        catalog: screened.
        image_size: pixels of a side.
        batch_size: photos in each array; the last may hold fewer.
        workers: threads that decode; None: one per processor.

    Raises:
        CatalogError: a photo that was there when the catalogue was screened cannot be read now.
    """

    def fill(pixels: Pixels, photo: Photo) -> None:
        with _named(photo, catalog):
            pixels[:] = load_pixels(catalog.read(photo), image_size)

    with _threads(workers) as pool:

        def begin(start: int) -> _Begun[NDArray[np.uint8]]:
            photos = catalog.photos[start : start + batch_size]
            pixels = _room(len(photos), image_size)
            return pixels, [
                pool.submit(fill, *arguments) for arguments in zip(pixels, photos, strict=True)
            ]

        yield from _finished(map(begin, range(0, len(catalog.photos), batch_size)))


def _finished[T](begun: Iterable[_Begun[T]]) -> Iterator[T]:
    """Yield each batch once it is complete, with the next ones begun."""
    ahead: deque[_Begun[T]] = deque()
    for started in begun:
        ahead.append(started)
        if len(ahead) > PREFETCHED_BATCHES:
            yield _complete(ahead.popleft())
    while ahead:
        yield _complete(ahead.popleft())


def _complete[T](begun: _Begun[T]) -> T:
    batch, photos = begun
    for photo in photos:
        photo.result()
    return batch


@contextmanager
def _threads(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers or os.cpu_count(), "decode")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _named(photo: Photo, catalog: Catalog) -> Iterator[None]:
    """Say which photo it was that could not be read."""
    try:
        yield
    except (OSError, FunctionError) as error:
        raise CatalogError(
            f"{catalog.source.location}: {photo.image} was readable before and is not now "
            f"({error}): were files changed? Put it back, or start again"
        ) from error


def _room(photos: int, size: int) -> NDArray[np.uint8]:
    return np.empty((photos, size, size, 3), np.uint8)
