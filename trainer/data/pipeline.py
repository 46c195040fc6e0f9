"""Photos to arrays, on all processors, in an order that only seed and step decide."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy.typing import NDArray

from function.errors import FunctionError
from function.photo import load_pixels
from trainer.data.augmentation import Augmentation, draw_changes
from trainer.data.crop import load_crop, load_window, room_side
from trainer.data.records import Catalog, Photo
from trainer.data.rooms import Rooms
from trainer.data.sampler import PKSampler
from trainer.errors import CatalogError, TrainingError

# Batches that are being made while one is used: enough that the trainer never waits for one slow
# photo, little enough that memory stays that of a few batches.
PREFETCHED_BATCHES = 2
# Photos that a thread decodes in one go: handing over a task costs 3 % of decoding a small photo,
# and all of that while no other thread runs Python.
MOST_PHOTOS_PER_TASK = 8

# A batch, and what is still filling it.
type _Begun[T] = tuple[T, list[Future[None]]]
Pixels = UInt8[np.ndarray, "size size 3"]
# Who brings crops to their size: the processors that decode, or the device that trains.
Resize = Literal["host", "device"]


@dataclass(frozen=True)
class Batch:
    """What one training step sees, or one process's share of it."""

    step: int
    pixels: UInt8[np.ndarray, "rows side side 3"]
    """RGB in its own colours: squares of the photos, cropped and mirrored at random; or what the
    device is to make them from, beside other things."""
    windows: Float32[np.ndarray, "rows 6"] | None
    """How `trainer.data.resample.resample` makes the squares on the device; None: they are made."""
    colour: Float32[np.ndarray, "rows 4"]
    """How `trainer.data.recolour.recolour` is to change each photo's colours, on the device."""
    labels: Int32[np.ndarray, " rows"]
    """A number for each product; photos of one product share it."""


@dataclass(frozen=True, kw_only=True)
class TrainingBatches:
    """The batches of steps `start_step` to `stop_step - 1`, decoded ahead by threads.

    Each `for` loop starts its own threads, and ends them when it ends, is left or fails; to leave
    an iterator unfinished elsewhere, `close()` it. The batch of a step is the same after resuming
    and with any number of workers, and the shards of it, one after the other, are the whole of it.

    A batch's arrays are its own and not written again while anything refers to them: a device may
    go on reading.

    Raises:
        TrainingError: the batch does not divide into so many shards.
        CatalogError: while iterating, a photo that was there when the catalogue was screened
            cannot be read now.
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
    shard: tuple[int, int] = (0, 1)
    """(index, count): of each global batch this process decodes and gets only the rows from
    index · batch / count to (index + 1) · batch / count, with the pixels that they would have had
    in the whole batch."""
    resize: Resize = "host"
    """"device" leaves the resize to `trainer.data.resample.resample`: of small photos the host then
    makes up to 2.8 times as many."""

    def __post_init__(self) -> None:
        index, count = self.shard
        if not 0 <= index < count:
            raise TrainingError(
                f"Expected a shard (index, count) with 0 ≤ index < count: {index} "
                f"of {count} is none"
            )
        if self.sampler.batch_size % count:
            raise TrainingError(
                f"A batch of {self.sampler.batch_size} photos does not divide among {count} "
                "processes: change --products-per-batch or --photos-per-product"
            )

    def __iter__(self) -> Iterator[Batch]:
        side = self.image_size
        if self.resize == "device":
            side = room_side(side, self.augmentation.ratio)
        rooms = Rooms((self.sampler.batch_size // self.shard[1], side, side, 3))
        with _Decoders(self.workers) as decoders:
            yield from decoders.finished(
                self._begin(step, rooms, decoders)
                for step in range(self.start_step, self.stop_step)
            )

    def _begin(self, step: int, rooms: Rooms, decoders: "_Decoders") -> _Begun[Batch]:
        index, count = self.shard
        rows = self.sampler.batch_size // count
        mine = slice(index * rows, (index + 1) * rows)
        photos = self.sampler.batch(step)
        changes = draw_changes(self.augmentation, len(photos), seed=self.seed, step=step)
        photos, crops = photos[mine], changes.crops[mine]
        pixels, size = rooms.take(), self.image_size
        windows = np.empty((rows, 6), np.float32) if self.resize == "device" else None
        batch = Batch(step, pixels, windows, changes.colour[mine], self.sampler.labels[photos])

        def fill(row: int) -> None:
            photo = self.catalog.photos[photos[row]]
            with _named(photo, self.catalog):
                data = self.catalog.read(photo)
                if windows is None:
                    pixels[row] = load_crop(data, size, crops[row])
                else:
                    windows[row] = load_window(data, size, crops[row], pixels[row])

        return batch, decoders.begin(fill, rows)


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
    with _Decoders(workers) as decoders:

        def begin(start: int) -> _Begun[NDArray[np.uint8]]:
            photos = catalog.photos[start : start + batch_size]
            pixels = np.empty((len(photos), image_size, image_size, 3), np.uint8)

            def fill(row: int) -> None:
                with _named(photos[row], catalog):
                    pixels[row] = load_pixels(catalog.read(photos[row]), image_size)

            return pixels, decoders.begin(fill, len(photos))

        yield from decoders.finished(map(begin, range(0, len(catalog.photos), batch_size)))


class _Decoders:
    """Threads that fill the rows of batches, as a context that ends them."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers or os.cpu_count() or 1

    def __enter__(self) -> "_Decoders":
        self._pool = ThreadPoolExecutor(self._workers, "decode")
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, fill: Callable[[int], None], rows: int) -> list[Future[None]]:
        """Have `fill` called with each row, a few rows in one task but enough tasks for all."""
        step = max(1, min(MOST_PHOTOS_PER_TASK, rows // (2 * self._workers)))

        def fill_some(first: int) -> None:
            for row in range(first, min(first + step, rows)):
                fill(row)

        return [self._pool.submit(fill_some, first) for first in range(0, rows, step)]

    def finished[T](self, begun: Iterable[_Begun[T]]) -> Iterator[T]:
        """Yield each batch once it is complete, with the next ones begun."""
        ahead: deque[_Begun[T]] = deque()
        for started in begun:
            ahead.append(started)
            # Small batches on many processors: more of them, or some would have nothing to do.
            tasks = sum(len(tasks) for _, tasks in ahead)
            if len(ahead) > PREFETCHED_BATCHES and tasks > 2 * self._workers:
                yield _complete(ahead.popleft())
        while ahead:
            yield _complete(ahead.popleft())


def _complete[T](begun: _Begun[T]) -> T:
    batch, tasks = begun
    for task in tasks:
        task.result()
    return batch


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
