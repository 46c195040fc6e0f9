"""Where recall is lost between the trained network and the served answer, step by step.

Each step serves the same queries a little more as the function does, and is charged what changes:

    trained       the network's float32 vectors, exact search
    export        the release's program and its vectors, exact search
                  (as the index keeps them: float32, or rounded to int16 or int8)
    quantisation  the index's quantised scores over all leaves, without reordering: of the rows as
                  its tree knows them, which may be by fewer numbers
    pruning       as many leaves as the release searches
    reordering    the best scores computed again from the vectors: what is served

An exact index has none of the last three. An answer is the function's: products, each at the place
of its nearest photo.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Int
from numpy.typing import NDArray

from function.file_catalog import FileCatalog
from function.file_index import SearchableRows
from function.index import Index, NumpyIndex, TreeIndex
from function.ranking import rank_products

Step = Literal["trained", "export", "quantisation", "pruning", "reordering"]
STEPS: tuple[Step, ...] = get_args(Step)

DEPTHS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Queries:
    """What is asked, and what should be found.

    Attributes:
        products: the right product of each query.
        own_rows: the index row that is the query photo itself and leaves its answer; -1 where it
            is in no index.
    """

    products: Sequence[str]
    own_rows: Int[np.ndarray, " queries"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What one step answers.

    Attributes:
        step: which.
        pages: for each query the products found, best first, as many as the deepest depth.
    """

    step: Step
    pages: Sequence[Sequence[str]]

    def found(self, queries: Queries, depth: int) -> NDArray[np.bool_]:
        """Whether each query's product is among the first `depth` products."""
        return np.array(
            [
                right in page[:depth]
                for right, page in zip(queries.products, self.pages, strict=True)
            ],
            bool,
        )

    def shared(self, exact: "Answers", depth: int) -> float:
        """The share of another's first `depth` products that are among the first here."""
        pairs = [
            (set(page[:depth]), set(wanted[:depth]))
            for page, wanted in zip(self.pages, exact.pages, strict=True)
        ]
        wanted = sum(len(wanted) for _, wanted in pairs)
        return sum(len(page & wanted) for page, wanted in pairs) / max(1, wanted)


@dataclass(frozen=True, eq=False)
class Attribution:
    """The steps of one release, in the order of `STEPS`; those that it has not are left out."""

    queries: Queries
    answers: Sequence[Answers]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types.

        Returns:
            - by step, None for a step that the release has not:
              recall_at_K: the share of queries whose product is among the first K products;
              neighbours_at_K: the share of the trained network's first K products that are among
              the first K here; gained_at_K, lost_at_K: how many queries find their product here
              and not at the step before, and the other way round.
            - "whole": gained_at_K and lost_at_K from the first step to the last.
        """
        first, last = self.answers[0], self.answers[-1]
        steps: dict[str, Any] = dict.fromkeys(STEPS)
        before = first
        for answers in self.answers:
            steps[answers.step] = self._figures(first, answers) | self._changes(before, answers)
            before = answers
        return {**steps, "whole": self._changes(first, last)}

    def _figures(self, first: Answers, answers: Answers) -> dict[str, float]:
        recalls = {f"recall_at_{k}": float(answers.found(self.queries, k).mean()) for k in DEPTHS}
        return recalls | {f"neighbours_at_{k}": answers.shared(first, k) for k in DEPTHS}

    def _changes(self, before: Answers, after: Answers) -> dict[str, int]:
        changes: dict[str, int] = {}
        for k in DEPTHS:
            was, now = before.found(self.queries, k), after.found(self.queries, k)
            changes |= {f"gained_at_{k}": int((now & ~was).sum())}
            changes |= {f"lost_at_{k}": int((was & ~now).sum())}
        return changes


class WithoutRow:
    """An index from whose answers one row is missing: the query photo itself, by its number.

    Attributes:
        rows: how many vectors can be found.
        dim: their length.
    """

    def __init__(self, index: Index, row: int) -> None:
        self.rows = index.rows - 1
        self.dim = index.dim
        self._index = index
        self._row = row

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest other rows; see `Index.search`."""
        rows, scores = self._index.search(vector, k + 1, allowed)
        others = rows != self._row
        return rows[others][:k], scores[others][:k]


class Unordered:
    """A tree that answers by its quantised scores, without reordering.

    Attributes:
        rows: how many vectors.
        dim: their length.
    """

    def __init__(self, tree: TreeIndex, leaves_to_search: int) -> None:
        self.rows, self.dim = tree.rows, tree.dim
        self._tree = tree
        self._leaves_to_search = leaves_to_search

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the rows with the best quantised scores; see `Index.search`."""
        depth = k if allowed is None else self.rows
        rows, scores = self._tree.propose(vector, depth, self._leaves_to_search)
        if allowed is not None:
            kept = allowed[rows]
            rows, scores = rows[kept], scores[kept]
        return rows[:k], scores[:k]


def attribute(
    served: Index,
    catalog: FileCatalog,
    queries: Queries,
    trained: tuple[Float32[np.ndarray, "queries dim"], Float32[np.ndarray, "rows dim"]],
    exported: tuple[Float32[np.ndarray, "queries dim"], Float32[np.ndarray, "rows dim"]],
    *,
    on_progress: Callable[[int], object] = lambda queries_done: None,
) -> Attribution:
    """Answer the queries at every step that a release has.

    Args:
        served: the release's index.
        catalog: the release's; its rows are those of the index and of both galleries.
        queries: at least one.
        trained: unit rows of the trained network in float32: the queries', and the gallery's.
        exported: the same by the release's program; the gallery's are those in the index.
        on_progress: called with 1 after each query of each step; see `step_count`.
    """
    pairs: list[tuple[Step, Index, Float32[np.ndarray, "queries dim"]]] = [
        ("trained", NumpyIndex(trained[1]), trained[0]),
        ("export", NumpyIndex(exported[1]), exported[0]),
    ]
    if isinstance(served, TreeIndex):
        search = served.parameters
        pairs += [
            ("quantisation", Unordered(served, search.leaves), exported[0]),
            ("pruning", Unordered(served, search.leaves_to_search), exported[0]),
            ("reordering", served, exported[0]),
        ]
    answers = []
    for step, index, vectors in pairs:
        pages = []
        for vector, row in zip(vectors, queries.own_rows.tolist(), strict=True):
            searched = index if row < 0 else WithoutRow(index, row)
            ranking = rank_products(SearchableRows(searched, catalog), vector, max(DEPTHS))
            nearest = catalog.images([item.rows[0] for item in ranking])
            pages.append(tuple(photo.product_id for photo in nearest))
            on_progress(1)
        answers.append(Answers(step, pages))
    return Attribution(queries, answers)


def step_count(index: Index) -> int:
    """How many steps a release with this index has here: without ScaNN every search is exact."""
    return len(STEPS) if isinstance(index, TreeIndex) else STEPS.index("export") + 1
