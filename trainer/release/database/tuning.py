"""How thoroughly a graph in a database is searched: as little as reaches the recall.

The true neighbours are found while the rows are loaded, block by block: the rows are never read
again for it, however many there are.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from function.manifest import IndexSetting, RowType
from function.postgres.index import PostgresIndex
from function.postgres.schema import HNSW
from trainer.progress import console, progress_bar
from trainer.release.database.release import LoadedRelease, Numbers, Vectors
from trainer.release.tuning import QUERIES, Queries

# Candidates that a search keeps, at the least: the ladder that is climbed. The last is the most
# that pgvector takes.
EF_SEARCHES = (40, 60, 100, 160, 250, 400, 640, 1000)

_NEIGHBOURS = 10
# Of each query's nearest rows so many are remembered: its own, and copies as near as the tenth.
_REMEMBERED = 32
# Two summations of one product differ by less.
_ROUNDING = 1e-6


class Neighbours:
    """The rows nearest to some queries, of all rows that were seen.

    Args:
        queries: unit vectors.
        are_rows: whether each is a row itself, which leaves its answer.
    """

    def __init__(self, queries: Queries, *, are_rows: bool) -> None:
        self.queries = queries
        self._are_rows = are_rows
        self._scores = np.full((len(queries), _REMEMBERED), -np.inf, np.float32)
        self._numbers = np.full((len(queries), _REMEMBERED), -1, np.int64)

    @classmethod
    def of(cls, rows: Vectors, held_out: Queries | None) -> "Neighbours":
        """Choose queries by seed.

        Args:
            rows: some of the catalogue's unit vectors.
            held_out: vectors of photos that are not in it; where there are fewer than of `rows`
                would be taken, these ask.
        """
        random = np.random.default_rng(0)
        count = min(QUERIES, len(rows))
        if held_out is not None and len(held_out) >= count:
            return cls(held_out[random.permutation(len(held_out))[:QUERIES]], are_rows=False)
        return cls(rows[random.permutation(len(rows))[:count]], are_rows=True)

    def see(self, numbers: Numbers, vectors: Vectors) -> None:
        """Take rows into account; one that was seen before counts once."""
        fresh = ~np.isin(numbers, self._numbers)
        scores = np.concatenate([self._scores, self.queries @ vectors[fresh].T], axis=1)
        more = np.broadcast_to(numbers[fresh], (len(self.queries), int(fresh.sum())))
        known = np.concatenate([self._numbers, more], axis=1)
        best = np.argpartition(-scores, _REMEMBERED - 1, axis=1)[:, :_REMEMBERED]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._numbers = np.take_along_axis(known, best, axis=1)

    def recall_at_10(self, found: Sequence[Sequence[int]]) -> float:
        """The share of the ten nearest rows among those found, 1 where there are none.

        A row as near as the tenth counts, so that copies of a photo, in no order, cost nothing.

        Args:
            found: for each query its eleven nearest rows, best first.
        """
        hits = wanted = 0
        for scores, numbers, answer in zip(self._scores, self._numbers, found, strict=True):
            order = np.argsort(-scores)[int(self._are_rows) :]
            own = int(numbers[np.argmax(scores)]) if self._are_rows else -1
            near = order[numbers[order] >= 0]
            count = min(_NEIGHBOURS, len(near))
            if count:
                least = scores[near[count - 1]] - _ROUNDING
                enough = set(numbers[near][scores[near] >= least].tolist())
                wanted += count
                hits += sum(row in enough for row in [x for x in answer if x != own][:count])
        return hits / wanted if wanted else 1.0


def tune(loaded: LoadedRelease, neighbours: Neighbours, recall: float) -> list[IndexSetting]:
    """Search a loaded release for the queries, ever more thoroughly, until it reaches the recall.

    Args:
        loaded: indexed.
        neighbours: of its rows.
        recall: share of a query's ten nearest rows to be found, above 0, at most 1.

    Returns:
        What was measured, in order; the last is the one to serve.

    Raises:
        DatabaseUnavailable, DeadlineExceeded: the database went away.
    """
    row_type: RowType = "float16" if loaded.method.vector_type == "halfvec" else "float32"
    measured = IndexSetting("pgvector", row_type, 0, 0, 0, 0.0, 0.0, loaded.megabytes)
    ladder = EF_SEARCHES if loaded.method is HNSW else (0,)
    curve: list[IndexSetting] = []
    with progress_bar("Tuning the index", len(ladder)) as bar:
        # Reads the pages, so that the first setting is not charged for it.
        _measure(loaded.index(replace(measured, ef_search=ladder[0])), neighbours)
        for ef_search in ladder:
            setting = replace(measured, ef_search=ef_search)
            reached, ms = _measure(loaded.index(setting), neighbours)
            curve.append(replace(setting, recall_at_10=reached, ms=ms))
            bar.advance(note=f"{ef_search}: {reached:.3f} in {ms:.2f} ms")
            if reached >= recall:
                break
        bar.advance(len(ladder) - len(curve))
    if curve[-1].recall_at_10 < recall:
        console.print(
            f"The index finds {curve[-1].recall_at_10:.3f} of the neighbours at its most thorough; "
            f"{recall:g} were wanted.",
            soft_wrap=True,
        )
    return curve


def _measure(index: PostgresIndex, neighbours: Neighbours) -> tuple[float, float]:
    """Ask all queries, one by one, as the function does: recall at 10, and the median ms."""
    found, seconds = [], []
    for query in neighbours.queries:
        start = time.perf_counter()
        (hits,) = index.search(query[None], _NEIGHBOURS + 1)
        seconds.append(time.perf_counter() - start)
        found.append(hits.rows.tolist())
    return neighbours.recall_at_10(found), 1e3 * float(np.median(seconds))
