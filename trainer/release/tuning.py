"""Recall and time of an index's settings, measured, and the choice among them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from function.index import Index, TreeIndex, open_index
from function.manifest import IndexSetting, RowType

Vectors = Float32[np.ndarray, "rows dim"]
Queries = Float32[np.ndarray, "queries dim"]

# Queries that a setting is measured with; so many of the photos that are held out, or rows.
QUERIES = 500
_FEWEST_HELD_OUT = 200

# Exact search is slower where there are many rows, and always finds the same.
_EXACT_QUERIES = 20

_NEIGHBOURS = 10

# The ladders that a setting's two numbers climb. Each rung of leaves is a quarter more: one of half
# as many again may stand so far above the recall that a tree of other leaves seems slower.
REORDERS = (50, 100, 200)
_FEWEST_LEAVES, _LEAF_FACTOR = 1 / 128, 1.25

# More leaves that find less than this more of the neighbours meet what they cannot mend: rows too
# coarse, or too few reordered.
_LEAST_GAIN = 0.0003

# Times that differ by less count as equal, and memory decides: as a share, what a busy machine's
# times differ by; in ms, a hundredth of what the network takes for a photo.
_EQUAL_SHARE, _EQUAL_MS = 1.25, 0.2

# Of about as small ones the fastest is taken: trees over the same rows differ by a few hundredths.
_EQUAL_MEMORY = 1.05

# Two summations of one product differ by less.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Probe:
    """Queries whose true neighbours are known.

    Attributes:
        rows: the catalogue's unit vectors.
        queries: unit vectors.
        own_rows: the row that a query is and that leaves its answer; -1 where it is none.
        tenth: the cosine of each query's tenth nearest row, or of its last where there are fewer.
    """

    rows: Vectors
    queries: Queries
    own_rows: Int[np.ndarray, " queries"]
    tenth: Float32[np.ndarray, " queries"]

    @classmethod
    def of(cls, rows: Vectors, held_out: Queries | None = None, *, count: int = QUERIES) -> "Probe":
        """Choose queries by seed, and find their neighbours exactly, block by block.

        Args:
            rows: the catalogue's unit vectors.
            held_out: vectors of photos that are not in it; fewer than 200 say too little.
            count: queries, at most.
        """
        random = np.random.default_rng(0)
        if held_out is not None and len(held_out) >= min(_FEWEST_HELD_OUT, len(rows)):
            queries = held_out[random.permutation(len(held_out))[:count]]
            own_rows = np.full(len(queries), -1)
        else:
            own_rows = random.permutation(len(rows))[:count]
            queries = rows[own_rows]
        return cls(rows, queries, own_rows, _tenth_scores(rows, queries, own_rows))

    @property
    def wanted(self) -> int:
        """Neighbours of each query: ten, or as many as there are."""
        return min(_NEIGHBOURS, len(self.rows) - int(self.own_rows.max(initial=-1) >= 0))

    def recall_at_10(self, found: list[Int[np.ndarray, " found"]]) -> float:
        """The share of the neighbours that are among the rows found, 1 where there are none.

        A row as near as the tenth counts, so that copies of a photo, in no order, cost nothing.

        Args:
            found: for each of the first queries its nearest rows, best first.
        """
        if self.wanted == 0:
            return 1.0
        hits = 0
        for rows, query, own, tenth in zip(
            found, self.queries, self.own_rows, self.tenth, strict=False
        ):
            others = rows[rows != own][: self.wanted]
            hits += int((self.rows[others] @ query >= tenth - _ROUNDING).sum())
        return hits / (self.wanted * len(found))

    def measure(
        self, indices: Sequence[Index], *, count: int = QUERIES
    ) -> list[tuple[float, float]]:
        """Ask the first `count` queries one by one, each of all indices in turn.

        A busy machine is then unfair to none of them.

        Returns:
            For each index recall at 10 and the median ms.
        """
        found: list[list[Int[np.ndarray, " found"]]] = [[] for _ in indices]
        seconds: list[list[float]] = [[] for _ in indices]
        for query in self.queries[:count]:
            for number, index in enumerate(indices):
                start = time.perf_counter()
                # One more, for the query's own row may be among them.
                rows, _ = index.search(query, _NEIGHBOURS + 1)
                seconds[number].append(time.perf_counter() - start)
                found[number].append(rows)
        return [
            (self.recall_at_10(rows), 1e3 * float(np.median(taken)))
            for rows, taken in zip(found, seconds, strict=True)
        ]


def _tenth_scores(
    rows: Vectors, queries: Queries, own_rows: Int[np.ndarray, " queries"]
) -> Float32[np.ndarray, " queries"]:
    best = np.full((len(queries), _NEIGHBOURS), -np.inf, np.float32)
    block = 20_000
    for start in range(0, len(rows), block):
        scores = queries @ rows[start : start + block].T
        (own,) = np.nonzero((own_rows >= start) & (own_rows < start + block))
        scores[own, own_rows[own] - start] = -np.inf
        both = np.concatenate([best, scores], axis=1)
        best = -np.partition(-both, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]
    return np.where(np.isfinite(best), best, np.inf).min(axis=1)


def exact_setting(folder: Path, probe: Probe) -> IndexSetting:
    """Measure exact search over the float32 vectors in a folder."""
    index = open_index(folder, "exact")
    ((_, ms),) = probe.measure([index], count=_EXACT_QUERIES)
    return IndexSetting("exact", "float32", 0, 0, 0, 1.0, ms, megabytes(folder))


def tree_settings(
    trees: Mapping[RowType, tuple[TreeIndex, float]], probe: Probe, recall: float
) -> Iterator[list[IndexSetting]]:
    """Measure a tree with more and more leaves and reordered rows until it reaches the recall.

    With the fewest reordered rows the ladder of leaves is climbed from its foot, with more of them
    from two rungs below the last: what they add is small, and may save these.

    Args:
        trees: the same tree over the same vectors in each type, and the megabytes of its files.
        probe: the queries.
        recall: to be reached.

    Yields:
        What was measured together: a setting for each type that has not reached the recall.
    """
    search = next(iter(trees.values()))[0].parameters
    ladder = _ladder(search.leaves)
    # Maps the pages, so that the first settings are not charged for it.
    probe.measure([tree for tree, _ in trees.values()])
    foot: dict[RowType, int] = dict.fromkeys(trees, 0)
    for reorder in REORDERS:
        best = dict.fromkeys(trees, 0.0)
        climbing = list(trees)
        for rung in range(min(foot.values()), len(ladder)):
            parameters = replace(search, leaves_to_search=ladder[rung], reorder=reorder)
            here = [row_type for row_type in climbing if foot[row_type] <= rung]
            measured = probe.measure([trees[row_type][0].varied(parameters) for row_type in here])
            for row_type, (found, _) in zip(here, measured, strict=True):
                if found >= recall or found - best[row_type] < _LEAST_GAIN:
                    climbing.remove(row_type)
                best[row_type] = found
            for row_type in here:
                foot[row_type] = max(0, rung - 2)
            if here:
                yield [
                    IndexSetting(
                        "scann",
                        row_type,
                        search.leaves,
                        ladder[rung],
                        reorder,
                        found,
                        ms,
                        trees[row_type][1],
                        tree_dim=search.tree_dim,
                    )
                    for row_type, (found, ms) in zip(here, measured, strict=True)
                ]


def most_steps(leaves: int) -> int:
    """How many lists of settings `tree_settings` yields, about, at most."""
    return len(_ladder(leaves)) + 3 * (len(REORDERS) - 1)


def _ladder(leaves: int) -> list[int]:
    """Numbers of leaves to search, each a quarter more, the last one all of them."""
    rungs = [max(1, round(_FEWEST_LEAVES * leaves))]
    while rungs[-1] < leaves:
        rungs.append(min(leaves, ceil(_LEAF_FACTOR * rungs[-1])))
    return rungs


def choose(curve: Sequence[IndexSetting], recall: float) -> IndexSetting:
    """Return the setting to serve: of those that reach the recall about as fast, a smallest.

    Args:
        curve: of which one reaches it, as exact search always does.
        recall: to be reached.
    """
    enough = [setting for setting in curve if setting.recall_at_10 >= recall]
    least = min(setting.ms for setting in enough)
    limit = max(_EQUAL_SHARE * least, least + _EQUAL_MS)
    fast = [setting for setting in enough if setting.ms <= limit]
    smallest = min(setting.megabytes for setting in fast)
    small = [setting for setting in fast if setting.megabytes <= _EQUAL_MEMORY * smallest]
    return min(small, key=lambda setting: setting.ms)


def grown(setting: IndexSetting, before: int, rows: int) -> IndexSetting:
    """Return a setting for another number of rows than before: leaves grow as the root of these."""
    return replace(setting, leaves=round(setting.leaves * sqrt(rows / before)))


def megabytes(folder: Path) -> float:
    """Return the size of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6
