"""The things in a photo, found by what the catalogue knows: where each may be.

No further network is asked. A photo's vector is a sum over the positions of the last feature map
(`Embedder.shares`), and so is that of any part of it. Nine overlapping windows are searched for as
photos are. What a window looks like most, row m of the catalogue, lights up wherever the photo has
it: sₚ·(m − c), with the shares sₚ and the catalogue's mean c, which takes away what all of it has
in common. The bright region around the brightest point is a thing's box; what that region looks
like most draws it once more. Boxes that overlap are one thing, told by the surest of its windows.

A box is as coarse as the map: positions of 1/7 of the photo's side with 224 pixels, each of which
has seen beyond its edges.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .embedder import Embedder, SharesUnavailable, explainable
from .manifest import ModelInfo
from .region import Box
from .vector_index import VectorIndex

MAX_OBJECTS = 4

# Positions on a side below which a map tells no places apart.
_LEAST_SIDE = 4
# Windows along each side, of half its length.
_WINDOWS = 3
# Of the way from the darkest point to the brightest, from where on a point is bright. On pasted
# products 0.6 gives boxes that are too large and 0.8 such that are too small.
_BRIGHT = 0.7
# Points for each position, between which brightness is interpolated.
_FINER = 4
# Intersection over union from which on two boxes are one thing.
_SAME = 0.3
# Rows whose mean stands for that of the catalogue.
_SAMPLE = 1000


@dataclass(frozen=True)
class Part:
    """A part of a photo.

    Attributes:
        box: left, top, right, bottom, in fractions of the upright photo's sides.
        pixels: RGB [image_size, image_size, 3], decoded as finely as the part needs.
    """

    box: Box
    pixels: NDArray[np.uint8]


class ObjectFinder[Allowed]:
    """Finds where things are, by one release's map and catalogue. Safe for several threads."""

    def __init__(self, embedder: Embedder, index: VectorIndex[Allowed], model: ModelInfo) -> None:
        self._embedder = embedder
        self._index = index
        self._model = model

    def boxes(
        self,
        pixels: NDArray[np.uint8],
        most: int,
        allowed: Allowed | None = None,
        *,
        deadline: float = math.inf,
    ) -> list[Box]:
        """Say where things may be; the network runs once, the index is asked 10 times at most.

        Args:
            pixels: the photo, [image_size, image_size, 3].
            most: how many are wanted.
            allowed: what they may look like, as the index compiled it; None: all.
            deadline: a time of `time.monotonic`, for the index.

        Returns:
            Up to `most` boxes, the surest first, in fractions of the photo's sides.

        Raises:
            SharesUnavailable: this release, or this engine, cannot say.
        """
        shares = explainable(self._embedder, self._model).shares(pixels)
        rows, columns, _ = shares.shape
        if min(rows, columns) < _LEAST_SIDE:
            raise SharesUnavailable(
                f"The network's feature map has {rows} by {columns} positions: too few to tell "
                "things apart. Train with larger photos."
            )
        index = self._index.until(deadline)
        found = index.search(np.stack(list(_windows(shares))), 1, allowed)
        nearest = [(hits.rows[0], hits.scores[0]) for hits in found if len(hits.rows)]
        nearest.sort(key=lambda one: -one[1])
        things: list[Box] = []
        for row in dict.fromkeys(int(row) for row, _ in nearest):
            box = self._lit(index, shares, row)
            (hits,) = index.search(pooled(shares, box)[None], 1, allowed)
            box = self._lit(index, shares, int(hits.rows[0]))
            if all(overlap(box, thing) < _SAME for thing in things):
                things.append(box)
            if len(things) == most:
                break
        return things

    def _lit(self, index: VectorIndex[Allowed], shares: NDArray[np.float32], row: int) -> Box:
        (vector,) = index.vectors(np.array([row]))
        return brightest(shares @ (vector - self._mean))

    @cached_property
    def _mean(self) -> NDArray[np.float32]:
        images = self._index.count().images
        rows = np.linspace(0, images - 1, min(_SAMPLE, images))
        mean: NDArray[np.float32] = self._index.vectors(rows.astype(np.int64)).mean(axis=0)
        return mean


def brightest(light: NDArray[np.float32]) -> Box:
    """Return the box of the bright region around the brightest point of a map [rows, columns]."""
    rows, columns = light.shape
    fine = np.asarray(
        Image.fromarray(light.astype(np.float32)).resize(
            (columns * _FINER, rows * _FINER), Image.Resampling.BILINEAR
        )
    )
    bright = fine >= fine.min() + _BRIGHT * np.ptp(fine)
    region = np.zeros_like(bright)
    region[np.unravel_index(fine.argmax(), fine.shape)] = True
    while True:
        grown = region.copy()
        grown[1:] |= region[:-1]
        grown[:-1] |= region[1:]
        grown[:, 1:] |= region[:, :-1]
        grown[:, :-1] |= region[:, 1:]
        grown &= bright
        if (grown == region).all():
            break
        region = grown
    top, bottom = _ends(region.any(axis=1))
    left, right = _ends(region.any(axis=0))
    return left, top, right, bottom


def pooled(shares: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    """Return the unit vector of a part: the sum of its shares, those at its edges by their area."""
    rows, columns, _ = shares.shape
    left, top, right, bottom = box
    weights = np.outer(_covered(rows, top, bottom), _covered(columns, left, right))
    return _unit(np.tensordot(weights.astype(np.float32), shares, 2))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width, height = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(one) + _area(other) - shared)


def _windows(shares: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Unit vectors of overlapping parts, from the top left."""
    rows, columns, _ = shares.shape
    for top in _begins(rows):
        for left in _begins(columns):
            yield _unit(shares[top : top + rows // 2, left : left + columns // 2].sum(axis=(0, 1)))


def _begins(length: int) -> list[int]:
    ends = np.linspace(0, length - length // 2, _WINDOWS)
    return [round(begin) for begin in ends.tolist()]


def _covered(length: int, begin: float, end: float) -> NDArray[np.float64]:
    edges = np.arange(length + 1) / length
    within: NDArray[np.float64] = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return within.clip(0)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vector / max(np.linalg.norm(vector), np.finfo(np.float32).tiny)
    return unit


def _ends(flags: NDArray[np.bool_]) -> tuple[float, float]:
    (places,) = flags.nonzero()
    return float(places[0]) / len(flags), float(places[-1] + 1) / len(flags)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
