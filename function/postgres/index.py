"""Vectors to nearest rows, in PostgreSQL: through its vectors' index, or exactly.

An index over vectors looks at what is nearest first and leaves out what a condition does not allow,
so it tires where little is allowed, or only what lies far away. So how many rows are allowed is
counted first, as far as that matters; few are scored one by one, which is exact and as fast, and
where the index tires all the same the answer is made exactly after all. No choice is left to the
planner: the same question is answered in the same way every time, and pages of an answer fit.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..filters import EVERYTHING, Selection
from ..manifest import Counts, IndexSetting
from ..vector_index import Entry, Hits, check_entries
from .conditions import EVERY_ROW, Condition, is_text
from .schema import AccessMethod
from .tables import Tables

if TYPE_CHECKING:
    from .writing import Writer

# Up to so many allowed rows are scored one by one.
_FEW_ROWS = 10_000
# Of rows that are allowed so many are counted.
_COUNTED_ROWS = 100_000
# Of these the index may look at, in search of those that a condition allows; beyond, scoring all
# that are allowed is no slower. It is pgvector's default.
_SCANNED_ROWS = 20_000
# pgvector's limit.
_MOST_CANDIDATES = 1_000
# Selections whose rows were counted, that are kept.
_ANSWERS = 512

# Where the manifest does not tell, as pgvector has it.
_CANDIDATES = 40

# A graph tires less if it may return rows out of order; here they are sorted anyway. Nothing but
# the vectors' own index gives rows by nearness.
_APPROXIMATE = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": str(_SCANNED_ROWS),
    "hnsw.scan_mem_multiplier": "8",
}


_EXACT = (
    "SELECT number, -(embedding <#> %(vector)s::{type}), product, picture FROM {release}.image "
    # The order of an expression that no index has.
    "WHERE {where} ORDER BY (embedding <#> %(vector)s::{type}) + 0, number LIMIT %(k)s"
)
_BY_INDEX = (
    "SELECT number, -(embedding <#> %(vector)s::{type}), product, picture FROM {release}.image "
    "WHERE {where} ORDER BY embedding <#> %(vector)s::{type} LIMIT %(k)s"
)


@dataclass(frozen=True)
class Allowed:
    """A compiled selection.

    Attributes:
        condition: on table `image`.
        rows: how many satisfy it, counted up to _COUNTED_ROWS.
    """

    condition: Condition
    rows: int


class PostgresIndex:
    """A `VectorIndex` over the tables of a release.

    Attributes:
        tables: these.

    Args:
        tables: these.
        method: of the vectors' index.
        dim: length of the vectors.
        counts: of products and photos.
        setting: how the vectors' index is searched.
    """

    def __init__(
        self,
        tables: Tables,
        method: AccessMethod,
        dim: int,
        counts: Counts,
        setting: IndexSetting | None = None,
    ) -> None:
        self.tables = tables
        self._method = method
        self._dim = dim
        self._counts = counts
        self._setting = setting
        # Shared with what `until` returns; it is forgotten when the rows change.
        self._known: dict[Selection, Allowed] = {}

    def until(self, deadline: float) -> "PostgresIndex":
        other = object.__new__(PostgresIndex)
        other.__dict__ |= self.__dict__ | {"tables": self.tables.until(deadline)}
        return other

    def count(self) -> Counts:
        return self._counts

    def allowed(self, selection: Selection) -> Allowed | None:
        if selection == EVERYTHING:
            return None
        shared = replace(selection, excluded=frozenset())
        found = self._known.get(shared)
        if found is None:
            found = self._counted(shared)
            if len(self._known) >= _ANSWERS:
                self._known.clear()
            self._known[shared] = found
        if not selection.excluded:
            return found
        return replace(found, condition=self.tables.compiled(selection, "product"))

    def _counted(self, selection: Selection) -> Allowed:
        if selection == EVERYTHING:
            return Allowed(EVERY_ROW, self._counts.images)
        where = self.tables.compiled(selection, "product")
        ((rows,),) = self.tables.ask(
            "SELECT count(*) FROM "
            "(SELECT 1 FROM {release}.image WHERE {where} LIMIT %(most)s) AS counted",
            {"most": _COUNTED_ROWS},
            where,
        )
        return Allowed(where, rows)

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: Allowed | None = None
    ) -> list[Hits]:
        rows = self._counts.images if allowed is None else allowed.rows
        if rows <= max(_FEW_ROWS, k):
            return self._nearest(vectors, k, allowed, exact=True)
        # To find k, so many of all rows are looked at.
        if allowed is not None and k * self._counts.images > _SCANNED_ROWS * rows:
            return self._nearest(vectors, k, allowed, exact=True)
        found = self._nearest(vectors, k, allowed, exact=False)
        short = [place for place, hits in enumerate(found) if len(hits.rows) < k]
        if short:
            whole = self._nearest(vectors[short], k, allowed, exact=True)
            for place, hits in zip(short, whole, strict=True):
                found[place] = hits
        return found

    def _nearest(
        self, vectors: NDArray[np.float32], k: int, allowed: Allowed | None, *, exact: bool
    ) -> list[Hits]:
        where = EVERY_ROW if allowed is None else allowed.condition
        text = _EXACT if exact else _BY_INDEX
        questions = [
            self.tables.question(
                text,
                {"vector": str(vector.tolist()), "k": k},
                where,
                type=self._method.vector_type,
            )
            for vector in vectors
        ]
        settings = {} if exact else self._settings(k)
        if where.values:
            # What a condition allows differs too much for one plan.
            settings |= {"plan_cache_mode": "force_custom_plan"}
        return [_hits(rows) for rows in self.tables.database.ask_all(questions, settings)]

    def _settings(self, k: int) -> dict[str, str]:
        setting = self._setting
        if self._method.name == "scann":
            leaves = setting.leaves_to_search if setting else 0
            return {"scann.num_leaves_to_search": str(leaves)} if leaves else {}
        least = (setting.ef_search if setting else 0) or _CANDIDATES
        candidates = min(max(least, k), _MOST_CANDIDATES)
        return {"hnsw.ef_search": str(candidates), **_APPROXIMATE}

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        wanted = rows.tolist()
        found = self.tables.ask(
            "SELECT number, embedding::real[] FROM {release}.image WHERE number = ANY(%s)",
            [wanted],
        )
        by_row: dict[int, list[float]] = dict(found)
        missing = [row for row in wanted if row not in by_row]
        if missing:
            raise KeyError(missing[0])
        return np.array([by_row[row] for row in wanted], np.float32).reshape(-1, self._dim)

    def load(self, entries: Iterable[Entry]) -> None:
        if self._counts.images:
            raise ValueError(f"load: expected no photos yet; found {self._counts.images}.")
        self.upsert(list(entries))

    def upsert(self, entries: Sequence[Entry]) -> None:
        check_entries(entries, self._dim)
        products = {entry.product.id: entry.product for entry in entries}
        images = [replace(entry.image, product_id=entry.product.id) for entry in entries]
        vectors = np.array([entry.vector for entry in entries], np.float32).reshape(-1, self._dim)
        with self._writing() as writer:
            writer.replace(products.values(), images, vectors)

    def delete(self, product_ids: Iterable[str]) -> None:
        with self._writing() as writer:
            writer.delete(name for name in product_ids if is_text(name))

    @contextmanager
    def _writing(self) -> "Iterator[Writer]":
        from .writing import Writer

        with self.tables.database.connection() as connection:
            writer = Writer(connection, self.tables.release_id, self._method)
            yield writer
            self._counts = writer.finish()
        self._known.clear()


def _hits(found: Sequence[tuple[int, float, int, int]]) -> Hits:
    rows, scores, products, pictures = zip(*found, strict=True) if found else ((), (), (), ())
    numbers = [np.array(part, np.int64) for part in (rows, products, pictures)]
    hits = Hits(numbers[0], np.array(scores, np.float32), numbers[1], numbers[2])
    return hits.at(np.lexsort((hits.rows, -hits.scores)))
