"""Vectors to nearest rows: exact, or ScaNN's tree and quantised scores over the same vectors.

Every index folder has the vectors (`vectors.py`). A tree has, besides,

    search.json     how it is searched
    leaves.npy      [rows] int32, the leaf of each row
    centroids.npy   [leaves, dim] float32, the mean of each leaf
    projection.npy  [dim, tree_dim] float32, if ScaNN's rows x · projection are shorter
    scann_*, …      ScaNN's own files, by relative names, so that the folder can be moved

ScaNN proposes rows by 4-bit scores, and the mapped vectors give these rows' own: so the vectors are
neither stored nor held twice, and a filter costs no more than the rows that it lets through. Where
ScaNN has no package, the same vectors are searched exactly.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import ReleaseError, Unavailable
from .manifest import INDEX, IndexKind
from .proposer import OpenProposer, ProjectedProposer, Proposer, ScannProposer
from .vectors import StoredVectors, checked_array, open_vectors

SEARCH = "search.json"
LEAVES = "leaves.npy"
CENTROIDS = "centroids.npy"
PROJECTION = "projection.npy"

# A leaf holds rows / leaves vectors on average; reading four times the leaves that the candidates
# would fill keeps small or distant leaves from leaving them short.
_LEAF_SLACK = 4

# Candidates for each row that is asked for, at the least.
_CANDIDATES_PER_ROW = 2

# Filters that let through a smaller share of the rows are answered leaf by leaf.
_DENSE_SHARE = 0.25

# Of the candidates that a filter would let through by chance, so many must be.
_EXPECTED_SHARE = 0.75

# Rows that are scored exactly to answer leaf by leaf: at first so many, or so many for each asked
# for; then as many again as make them three times as many, until these bring nothing new among the
# ten nearest. In a million rows that keeps the recall of ten at 0.98 or more, even of categories
# that lie far from the query and are spread over many leaves.
_FIRST_SCANNED = 12_000
_SCANNED_PER_ROW = 4
_SCANNED_GROWTH = 3
_SETTLED = 10


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
            Row numbers [found] and cosine similarities [found], best first, equal ones by row.
            `found` is the least of k, `rows` and the allowed ones.
        """


class StoredIndex(Index, Protocol):
    """An index that gives its vectors back."""

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return rows as they are stored: unit vectors [rows, dim], but for rounding."""


@dataclass(frozen=True)
class ApproximateSearch:
    """How a tree index is searched; what `search.json` holds.

    Attributes:
        leaves: clusters in the tree.
        leaves_to_search: clusters whose vectors are scored for a query.
        reorder: best quantised scores that are computed again from the vectors.
        tree_dim: numbers that the tree knows each row by; 0: of an older release, whose trees know
            all of them.
    """

    leaves: int
    leaves_to_search: int
    reorder: int
    tree_dim: int = 0

    def save(self, folder: Path) -> None:
        """Write it beside the index."""
        (folder / SEARCH).write_text(json.dumps(vars(self)))


def open_index(
    folder: Path, kind: IndexKind, open_proposer: OpenProposer = ScannProposer
) -> StoredIndex:
    """Load an index; ReleaseError where its files are damaged or not ours.

    Args:
        folder: of the index.
        kind: which one it is.
        open_proposer: loads ScaNN's files.
    """
    try:
        vectors = open_vectors(folder)
        if kind == "exact" or find_spec("scann") is None:
            return NumpyIndex(vectors)
        search = ApproximateSearch(**json.loads((folder / SEARCH).read_text()))
        return open_tree(folder, vectors, search, open_proposer)
    except (OSError, ValueError, TypeError, RuntimeError, EOFError) as error:
        raise ReleaseError(
            f"{INDEX}: expected the files of an index of kind {kind}; they could not be loaded "
            f"({type(error).__name__})."
        ) from error


def open_tree(
    folder: Path,
    vectors: StoredVectors,
    search: ApproximateSearch,
    open_proposer: OpenProposer = ScannProposer,
) -> "TreeIndex":
    """Load a tree's own files over its vectors.

    Raises:
        ReleaseError: they do not fit together.
        OSError, ValueError, RuntimeError, EOFError: they are missing or damaged.
    """
    leaf_of_row = checked_array(folder / LEAVES, (vectors.rows,), np.int32)
    centroids = checked_array(folder / CENTROIDS, (search.leaves, vectors.dim), np.float32)
    if not 0 <= leaf_of_row.min() <= leaf_of_row.max() < search.leaves:
        raise ReleaseError(f"{INDEX}/{LEAVES}: expected numbers below {search.leaves}.")
    projection = None
    if search.tree_dim not in (0, vectors.dim):
        shape = (vectors.dim, search.tree_dim)
        projection = checked_array(folder / PROJECTION, shape, np.float32)
    proposer = open_proposer(folder)
    if projection is not None:
        proposer = ProjectedProposer(proposer, projection)
    if proposer.rows != vectors.rows:
        raise ReleaseError(
            f"{INDEX}: expected {vectors.rows} rows, as the vectors; found {proposer.rows}."
        )
    return TreeIndex(proposer, vectors, leaf_of_row, centroids, search)


class NumpyIndex:
    """Exact search: every allowed row is scored."""

    def __init__(self, vectors: StoredVectors | NDArray[np.float32]) -> None:
        stored = vectors if isinstance(vectors, StoredVectors) else StoredVectors(vectors)
        self.rows, self.dim = stored.rows, stored.dim
        self._vectors = stored

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if allowed is not None:
            return _nearest(self._vectors, vector, k, np.flatnonzero(allowed))
        return _best(np.arange(self.rows), self._vectors.scores(vector), k)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._vectors.read(rows)


class TreeIndex:
    """Rows are proposed by a tree and quantised scores, and scored again from the vectors.

    The proposals are the same for every k up to half of `reorder`, up to all of it, twice it, and
    so on: within such a range a larger k goes on where a smaller one ended. Beyond, more rows are
    looked at, and one that was missed before may come in.

    Attributes:
        rows: how many vectors.
        dim: their length.
        parameters: how it is searched.
    """

    def __init__(
        self,
        proposer: Proposer,
        vectors: StoredVectors,
        leaf_of_row: NDArray[np.int32],
        centroids: NDArray[np.float32],
        search: ApproximateSearch,
    ) -> None:
        self.rows, self.dim = vectors.rows, vectors.dim
        self._proposer = proposer
        self._vectors = vectors
        self._leaf_of_row = leaf_of_row
        self._centroids = centroids
        self.parameters = search

    def varied(
        self,
        parameters: ApproximateSearch | None = None,
        vectors: StoredVectors | None = None,
    ) -> "TreeIndex":
        """Return the same tree, searched otherwise or over the same vectors in another type."""
        return TreeIndex(
            self._proposer,
            vectors or self._vectors,
            self._leaf_of_row,
            self._centroids,
            parameters or self.parameters,
        )

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        left = self.rows if allowed is None else int(np.count_nonzero(allowed))
        depth = self.parameters.reorder
        while depth < _CANDIDATES_PER_ROW * min(k, left):
            depth *= 2
        if left >= _DENSE_SHARE * self.rows:
            stretch = self.rows / left
            leaves_to_search = ceil(self.parameters.leaves_to_search * stretch)
            # Without proposals the answer is as good, and takes longer: of 60,502 rows the recall
            # of ten is 0.995 instead of 0.990.
            with suppress(Unavailable):
                rows, _ = self.propose(vector, ceil(depth * stretch), leaves_to_search)
                if allowed is not None:
                    rows = rows[allowed[rows]]
                # Far fewer: the leaves near the query are not those with the allowed rows.
                if len(rows) >= min(left, _EXPECTED_SHARE * depth):
                    return _nearest(self._vectors, vector, k, rows)
        return self._leaf_by_leaf(vector, k, allowed)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._vectors.read(rows)

    def propose(
        self, vector: NDArray[np.float32], depth: int, leaves_to_search: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find rows by their quantised scores alone.

        Args:
            vector: unit vector [dim].
            depth: how many rows.
            leaves_to_search: clusters to look in, at least; more where they could not hold `depth`.

        Returns:
            Row numbers and quantised scores, best first; `depth` of each, or less.
        """
        depth, leaves = min(depth, self.rows), self.parameters.leaves
        enough = ceil(_LEAF_SLACK * depth * leaves / self.rows)
        return self._proposer.propose(vector, depth, min(leaves, max(leaves_to_search, enough)))

    def _leaf_by_leaf(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Score the allowed rows of the nearest leaves, of ever more until the answer settles."""
        rows = np.arange(self.rows) if allowed is None else np.flatnonzero(allowed)
        wanted = max(_FIRST_SCANNED, _SCANNED_PER_ROW * k)
        if len(rows) <= wanted:
            return _nearest(self._vectors, vector, k, rows)
        nearest = np.argsort(-(self._centroids @ vector))
        rank_of_leaf = np.empty(len(nearest), np.int64)
        rank_of_leaf[nearest] = np.arange(len(nearest))
        rank = rank_of_leaf[self._leaf_of_row[rows]]
        scanned = np.bincount(rank, minlength=len(nearest)).cumsum()
        best = (np.empty(0, np.int64), np.empty(0, np.float32))
        start = 0
        while start < len(nearest):
            end = min(int(np.searchsorted(scanned, wanted)) + 1, len(nearest))
            more = rows[(rank >= start) & (rank < end)]
            scores = self._vectors.scores(vector, more)
            before = best[0]
            best = _best(np.append(before, more), np.append(best[1], scores), k)
            if start and np.isin(best[0][:_SETTLED], before).all():
                break
            start, wanted = end, _SCANNED_GROWTH * int(scanned[end - 1])
        return best


def _nearest(
    vectors: StoredVectors, vector: NDArray[np.float32], k: int, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return _best(rows, vectors.scores(vector, rows), k)


def _best(
    rows: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if k < len(rows):
        last = np.partition(scores, -k)[-k]
        kept = np.flatnonzero(scores >= last)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
