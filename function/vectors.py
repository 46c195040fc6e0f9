"""The catalogue's unit vectors on disk: written once, mapped, and scored where a query asks.

    dataset.npy     [rows, dim] float32, int16 or int8
    scales.npy      [rows] float32          of integer rows alone
    rotation.npy    [dim, dim] float32      of integer rows alone

Integer rows c = round(xR / s) are rotated by a random orthogonal R, which gives every dimension a
like share of every vector (stochastic rotated quantisation: Suresh et al., "Distributed Mean
Estimation with Limited Communication", ICML 2017, section 3), and have a scale s of their own: the
largest value becomes the integers' largest. A query's cosine is then q·x ≈ s (qR)·c.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ReleaseError
from .manifest import INDEX, RowType

DATASET = "dataset.npy"
SCALES = "scales.npy"
ROTATION = "rotation.npy"

# Of the types of rows, those that files hold.
FILE_TYPES: tuple[RowType, ...] = ("float32", "int16", "int8")

# Integer rows become float32 before they are multiplied: so many at a time, to stay in the cache.
_BLOCK = 1024


class StoredVectors:
    """Vectors mapped from their files: pages that no query touched take no memory.

    Attributes:
        rows: how many.
        dim: their length.
    """

    def __init__(
        self,
        data: NDArray[np.float32] | NDArray[np.int16] | NDArray[np.int8],
        scales: NDArray[np.float32] | None = None,
        rotation: NDArray[np.float32] | None = None,
    ) -> None:
        self.rows, self.dim = data.shape
        self._data = data
        self._scales = scales
        self._rotation = rotation

    def scores(
        self, vector: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the cosine of a unit vector [dim] with some rows, or with all."""
        if self._scales is None or self._rotation is None:
            data = self._data if rows is None else self._data.take(rows, axis=0)
            return data @ vector
        rotated = vector @ self._rotation
        found = np.empty(self.rows if rows is None else len(rows), np.float32)
        for start in range(0, len(found), _BLOCK):
            block = slice(start, start + _BLOCK)
            data = self._data[block] if rows is None else self._data.take(rows[block], axis=0)
            np.dot(data.astype(np.float32), rotated, out=found[block])
        found *= self._scales if rows is None else self._scales.take(rows)
        return found

    def read(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return some rows, or all, as float32 [rows, dim], as exactly as they are stored."""
        chosen = slice(None) if rows is None else rows
        data = self._data[chosen].astype(np.float32)
        if self._scales is None or self._rotation is None:
            return data
        data *= self._scales[chosen, None]
        return data @ self._rotation.T


def save_vectors(vectors: NDArray[np.float32], folder: Path, row_type: RowType) -> None:
    """Write unit vectors [rows, dim] into an existing folder, replacing earlier ones.

    Raises:
        ValueError: `row_type` is none of FILE_TYPES.
    """
    if row_type not in FILE_TYPES:
        raise ValueError(f"row_type: expected one of {', '.join(FILE_TYPES)}; found {row_type!r}.")
    for name in (SCALES, ROTATION):
        (folder / name).unlink(missing_ok=True)
    if row_type == "float32":
        np.save(folder / DATASET, vectors)
        return
    largest = np.iinfo(row_type).max
    rotation = random_rotation(vectors.shape[1])
    data = np.lib.format.open_memmap(folder / DATASET, "w+", row_type, vectors.shape)
    scales = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        rotated = vectors[block] @ rotation
        # A row of zeros, of no photo, has the scale of any.
        scales[block] = np.maximum(np.abs(rotated).max(axis=1), np.finfo(np.float32).tiny) / largest
        data[block] = np.rint(rotated / scales[block, None])
    data.flush()
    np.save(folder / SCALES, scales)
    np.save(folder / ROTATION, rotation)


def random_rotation(dim: int) -> NDArray[np.float32]:
    """Return an orthogonal matrix [dim, dim], always the same one for a dim."""
    normal = np.random.default_rng(0).normal(size=(dim, dim))
    return np.linalg.qr(normal)[0].astype(np.float32)


def open_vectors(folder: Path) -> StoredVectors:
    """Map the vectors of an index.

    Raises:
        ReleaseError: arrays of another kind or shape than those above.
        OSError, ValueError, EOFError: files that are missing or no arrays.
    """
    data = mapped(folder / DATASET)
    if data.ndim != 2 or data.dtype.name not in FILE_TYPES:
        raise ReleaseError(
            f"{INDEX}/{DATASET}: expected [rows, dim] of {', '.join(FILE_TYPES)}; found "
            f"{list(data.shape)} of {data.dtype}."
        )
    if data.dtype == np.float32:
        return StoredVectors(data)
    rows, dim = data.shape
    scales = checked_array(folder / SCALES, (rows,), np.float32)
    return StoredVectors(data, scales, checked_array(folder / ROTATION, (dim, dim), np.float32))


def checked_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Map an array; ReleaseError where it is of another shape or type, else as `open_vectors`."""
    array = mapped(path)
    if array.shape != shape or array.dtype != dtype:
        raise ReleaseError(
            f"{INDEX}/{path.name}: expected {list(shape)} of {np.dtype(dtype)}; found "
            f"{list(array.shape)} of {array.dtype}."
        )
    return array


def mapped(path: Path) -> NDArray[Any]:
    """Map an array; as a plain one, whose slices and rows cost less than a memmap's."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)).view(np.ndarray)
