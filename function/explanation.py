"""Why a product matches: its score, shared out over the positions of a photo.

With average pooling and a linear head a photo's vector is a sum over the positions of the last
feature map, and so is its cosine with any other vector m: score = Σₚ sₚ·m, where sₚ are the
photo's shares (`Embedder.shares`). The head's bias belongs to every position alike.

Two grids explain a match: the shares of the searched photo, times the vector that is stored for
the product's photo; and the shares of the product's photo, times the vector of the searched one.
Neither sum is quite the score. The network computes with 8 or 16 bits, the index may keep its rows
in 8, and the product's photo is read as it is stored, encoded anew, not as it was embedded. What is
missing or over is no one position's: it is spread over all of them alike, as the bias is, and each
grid then sums to the score.

A grid covers what the network saw: the whole searched region, or the product's whole photo, scaled
to a square. So each cell is a rectangle of the region, all of one size, whatever its proportions. A
cell tells where the network's evidence lies, which it gathers from beyond the cell's edges.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .catalog import ImageRow
from .embedder import Embedder, explainable
from .errors import DeadlineExceeded, FunctionError
from .manifest import ModelInfo
from .photo import load_pixels
from .release import IMAGES
from .storage import Storage, StorageError
from .telemetry import log
from .vector_index import VectorIndex

# How long a match is explained without its product's photo rather than kept waiting for that.
PHOTO_SECONDS = 1.0


@dataclass(frozen=True)
class Explanation:
    """One match's score over positions, from the top left; each grid sums to the score.

    Attributes:
        photo: [rows, columns] of the searched photo.
        product: [rows, columns] of the product's; None where that is not stored, or the storage
            does not bring it in PHOTO_SECONDS.
    """

    photo: NDArray[np.float64]
    product: NDArray[np.float64] | None


class Explainer:
    """Explains what one release's engine finds. Safe to use from several threads."""

    def __init__(self, embedder: Embedder, index: VectorIndex[Any], model: ModelInfo) -> None:
        self._embedder = embedder
        self._index = index
        self._model = model

    def explain(
        self,
        pixels: NDArray[np.uint8],
        matches: Sequence[tuple[ImageRow, float]],
        storage: Storage,
        *,
        deadline: float,
    ) -> list[Explanation]:
        """Explain matches of one photo.

        Args:
            pixels: the photo, as it was searched for.
            matches: each product's nearest photo, and its score.
            storage: the root, which holds the products' photos.
            deadline: a time of `time.monotonic`.

        Raises:
            SharesUnavailable: this release, or this engine, cannot say.
            DeadlineExceeded: there is no time left.
        """
        embedder = explainable(self._embedder, self._model)
        if not matches:
            return []
        shares = embedder.shares(pixels)
        vector = shares.sum(axis=(0, 1))
        stored = self._index.until(deadline).vectors(np.array([image.row for image, _ in matches]))
        explanations = []
        photos_by = min(deadline, time.monotonic() + PHOTO_SECONDS)
        storage = storage.until(photos_by)
        pool = ThreadPoolExecutor(len(matches))
        try:
            # Read side by side, while those that are here are embedded.
            photos = [pool.submit(_read, storage, image.sha256) for image, _ in matches]
            for (_, score), row, reading in zip(matches, stored, photos, strict=True):
                photo = _in_time(reading, photos_by)
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(
                        "The explanation took longer than it may. Ask for fewer results."
                    )
                shown = None if photo is None else _pixels(photo, embedder.image_size)
                product = None if shown is None else grid(embedder.shares(shown), vector, score)
                explanations.append(Explanation(grid(shares, row, score), product))
        finally:
            # Nobody waits for a photo that does not come.
            pool.shutdown(wait=False, cancel_futures=True)
        return explanations


def grid(
    shares: NDArray[np.float32], vector: NDArray[np.float32], score: float
) -> NDArray[np.float64]:
    """Share a score out over positions.

    Args:
        shares: of a photo, [rows, columns, dim].
        vector: what it is compared with, [dim].
        score: their cosine, as it was found.

    Returns:
        [rows, columns], the shares' products with the vector; what their sum lacks of the score is
        spread over them alike.
    """
    products = (shares @ vector).astype(np.float64)
    return products + (score - products.sum()) / products.size


def _read(storage: Storage, sha256: str) -> bytes | None:
    """Read a stored photo; None where the release came without it, or it cannot be had."""
    if not sha256:
        return None
    try:
        return storage.read(f"{IMAGES}/{sha256}.jpg")
    except (StorageError, DeadlineExceeded) as error:
        log("WARNING", f"A match is explained without its product's photo: {error.message}")
        return None


def _in_time(reading: Future[bytes | None], deadline: float) -> bytes | None:
    """Return what was read by the deadline; None where that is nothing."""
    left = max(0.0, deadline - time.monotonic())
    return reading.result() if reading in wait([reading], left).done else None


def _pixels(photo: bytes, size: int) -> NDArray[np.uint8] | None:
    """Decode a stored photo; one that is damaged is as good as none, and no caller's fault."""
    try:
        return load_pixels(photo, size)
    except FunctionError:
        return None
