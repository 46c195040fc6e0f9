"""Vectors to nearest rows: ScaNN on Linux, NumPy over the same vectors elsewhere.

The folder holds ScaNN's own files, by relative names, so that it can be moved; `dataset.npy` among
them is the plain float32 [rows, dim] matrix. An approximate index also has `search.json`.
"""

import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import ReleaseError
from .manifest import INDEX

DATASET = "dataset.npy"
SEARCH = "search.json"
_ASSETS = "scann_assets.pbtxt"

# A leaf holds rows / leaves vectors on average; reading four times the leaves that k rows would
# fill keeps small or distant leaves from leaving the answer short.
_LEAF_SLACK = 4


@runtime_checkable
class Index(Protocol):
    """The catalogue's unit vectors, searchable. Safe to use from several threads.

    Attributes:
        rows: how many vectors.
        dim: their length.
    """

    rows: int
    dim: int

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest rows.

        Args:
            vector: unit vector [dim].
            k: how many rows are wanted, 1 or more; may exceed `rows`.
            allowed: [rows], which rows may be found; None: all.

        Returns:
            Row numbers [found] and cosine similarities [found], best first. `found` is the least
            of k, `rows` and the allowed ones, or less where an approximate index found fewer.
        """


@dataclass(frozen=True)
class ApproximateSearch:
    """How a tree index is searched; what `search.json` holds.

    Attributes:
        leaves: clusters in the tree.
        leaves_to_search: clusters whose vectors are scored for a query.
        reorder: best quantised scores that are computed again exactly.
    """

    leaves: int
    leaves_to_search: int
    reorder: int

    def save(self, folder: Path) -> None:
        """Write it beside the index."""
        (folder / SEARCH).write_text(json.dumps(vars(self)))


def open_index(folder: Path, kind: Literal["exact", "scann"]) -> Index:
    """Load an index into memory; ReleaseError where its files are damaged or not ours."""
    try:
        vectors = np.load(folder / DATASET, mmap_mode="r")
        if not (folder / _ASSETS).is_file() or find_spec("scann") is None:
            return NumpyIndex(np.load(folder / DATASET))
        searcher = _load_scann(folder)
        if searcher.size() != len(vectors):
            raise ReleaseError(
                f"{INDEX}: expected {len(vectors)} rows, as in {DATASET}; found {searcher.size()}."
            )
        approximate = None
        if kind == "scann":
            approximate = ApproximateSearch(**json.loads((folder / SEARCH).read_text()))
        return ScannIndex(searcher, vectors, approximate)
    except (OSError, ValueError, TypeError, RuntimeError, EOFError) as error:
        raise ReleaseError(
            f"{INDEX}: expected the files of an index of kind {kind}; they could not be loaded "
            f"({type(error).__name__})."
        ) from error


def _load_scann(folder: Path) -> Any:
    from scann.scann_ops.py import scann_ops_pybind

    # ScaNN would unpickle a file of document names and follow paths out of the folder.
    if (folder / "scann_docids.pkl").exists():
        raise ReleaseError(f"{INDEX}: expected no pickle; found scann_docids.pkl.")
    for path in re.findall(r'asset_path: "(.*)"', (folder / _ASSETS).read_text()):
        if Path(path).name != path:
            raise ReleaseError(f"{INDEX}/{_ASSETS}: expected names in its folder; found {path}.")
    return scann_ops_pybind.load_searcher(str(folder))


class ScannIndex:
    """A ScaNN searcher: exact, or tree, quantised scores and reordering."""

    def __init__(
        self,
        searcher: Any,
        vectors: NDArray[np.float32],
        approximate: ApproximateSearch | None,
    ) -> None:
        self.rows, self.dim = vectors.shape
        self._searcher = searcher
        self._vectors = vectors
        self._approximate = approximate

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if allowed is not None:
            return _exact(self._vectors, vector, k, allowed)
        k = min(k, self.rows)
        options = {}
        if self._approximate is not None:
            leaves = self._approximate.leaves
            options = {
                # Below k it would return nothing at all.
                "pre_reorder_num_neighbors": max(self._approximate.reorder, k),
                "leaves_to_search": min(
                    leaves,
                    max(
                        self._approximate.leaves_to_search,
                        ceil(_LEAF_SLACK * k * leaves / self.rows),
                    ),
                ),
            }
        (found,), (scores,) = self._searcher.search_batched(
            vector[None], final_num_neighbors=k, **options
        )
        # Neighbours that are missing are written as row 0 with a NaN score.
        valid = ~np.isnan(scores)
        return found[valid].astype(np.int64), scores[valid]


class NumpyIndex:
    """Exact search as one matrix-vector product."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.rows, self.dim = vectors.shape
        self._vectors = vectors

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return _exact(self._vectors, vector, k, allowed)


def _exact(
    vectors: NDArray[np.float32],
    vector: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    scores = (vectors if allowed is None else vectors[rows]) @ vector
    k = min(k, len(rows))
    if k == 0:
        return rows.astype(np.int64), scores
    best = np.argpartition(-scores, k - 1)[:k]
    best = best[np.argsort(-scores[best], kind="stable")]
    return rows[best].astype(np.int64), scores[best]
