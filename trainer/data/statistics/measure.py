"""Look at every photo of a catalogue once: its size, its format, and what its copies share."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from PIL import Image

from function.photo import FORMATS, decode
from trainer.data.problems import refuse
from trainer.data.records import Catalog, Photo
from trainer.data.screen import describe_place, read_photo
from trainer.data.statistics.signature import DECODE_SIDE_PIXELS, difference_hash, small_pixels
from trainer.progress import track


@dataclass(frozen=True)
class Measurements:
    """What was measured, one entry for each readable photo, in the catalogue's order."""

    catalog: Catalog
    """The readable photos."""
    unreadable: tuple[tuple[Photo, str], ...]
    """The others, each with the reason."""
    formats: tuple[str, ...] = field(repr=False)
    """As Pillow names them: JPEG, PNG…"""
    sizes: Int[np.ndarray, "photos 2"] = field(repr=False)
    """Width and height in pixels, upright."""
    file_bytes: Int[np.ndarray, " photos"] = field(repr=False)
    """Encoded size."""
    digests: tuple[bytes, ...] = field(repr=False)
    """SHA-256 of the encoded photo."""
    hashes: UInt64[np.ndarray, " photos"] = field(repr=False)
    """Difference hashes."""
    pixels: UInt8[np.ndarray, "photos 16 16 3"] = field(repr=False)
    """What verifies a copy."""


class _Seen(NamedTuple):
    format: str
    size: tuple[int, int]
    file_bytes: int
    digest: bytes
    hash: int
    pixels: UInt8[np.ndarray, "16 16 3"]


def measure(catalog: Catalog, *, workers: int | None = None) -> Measurements:
    """Decode every photo, at a reduced scale, in threads.

    It keeps about 1 kB of each: 120,000 photos take 120 MB.

    Args:
        catalog: what to look at.
        workers: threads; None: one for each processor.

    Raises:
        CatalogError: no photo can be read; the first ten are named with their reasons.
    """
    with threads(workers) as pool:
        results = pool.map(lambda photo: _look(catalog, photo), catalog.photos)
        found = list(track(results, "Measuring photos", len(catalog.photos)))
    pairs = list(zip(catalog.photos, found, strict=True))
    seen = [(photo, result) for photo, result in pairs if isinstance(result, _Seen)]
    unreadable = tuple((photo, result) for photo, result in pairs if isinstance(result, str))
    if not seen:
        refuse(
            catalog.source.location,
            [f"{describe_place(photo)}: {reason}" for photo, reason in unreadable],
            "Expected at least one photo that can be read.",
        )
    return Measurements(
        catalog=catalog.subset(photo for photo, _ in seen),
        unreadable=unreadable,
        formats=tuple(result.format for _, result in seen),
        sizes=np.array([result.size for _, result in seen]),
        file_bytes=np.array([result.file_bytes for _, result in seen]),
        digests=tuple(result.digest for _, result in seen),
        hashes=np.array([result.hash for _, result in seen], np.uint64),
        pixels=np.stack([result.pixels for _, result in seen]),
    )


@contextmanager
def threads(workers: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads; an interruption does not wait for all that was planned."""
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _look(catalog: Catalog, photo: Photo) -> "_Seen | str":
    read = read_photo(catalog, photo, reduce_to=DECODE_SIDE_PIXELS)
    if isinstance(read, str):
        return read
    data, picture = read
    with Image.open(BytesIO(data), formats=FORMATS) as header:
        width, height = header.size
        # The picture is upright; where the header's shape is the other way round, it was turned.
        if (width - height) * (picture.width - picture.height) < 0:
            width, height = height, width
        return _Seen(
            format=str(header.format),
            size=(width, height),
            file_bytes=len(data),
            digest=hashlib.sha256(data).digest(),
            hash=difference_hash(picture),
            pixels=small_pixels(picture),
        )


def pixel_digests(catalog: Catalog, photos: Iterable[Photo]) -> list[bytes]:
    """SHA-256 of each photo's size and whole pixels, as they are shown; decoded in full."""
    chosen = list(photos)
    with threads() as pool:
        digests = pool.map(lambda photo: _pixel_digest(catalog, photo), chosen)
        return list(track(digests, "Comparing pixels", len(chosen)))


def _pixel_digest(catalog: Catalog, photo: Photo) -> bytes:
    picture = decode(catalog.read(photo))
    digest = hashlib.sha256(f"{picture.size}".encode())
    digest.update(picture.tobytes())
    return digest.digest()
