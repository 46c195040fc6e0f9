"""What a release answers to photos of unseen products, with these in the catalogue and without."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy.typing import NDArray

from function.api import DEFAULT_PAGE_SIZE
from function.catalog import Catalog
from function.manifest import Counts
from function.ranking import rank_products
from function.vector_index import Hits, Searchable
from trainer.evaluation.attribution import Queries


@dataclass(frozen=True, eq=False)
class Results:
    """Results of many queries, in one list.

    Attributes:
        scores: cosine similarities.
        matches: whether the result is the query's product.
        places: of the result in its answer, 0 for the first.
        present: whether the query's product was in the catalogue.
        products: a number for the query's product.
    """

    scores: Float[np.ndarray, " results"]
    matches: Bool[np.ndarray, " results"]
    places: Int[np.ndarray, " results"]
    present: Bool[np.ndarray, " results"]
    products: Int[np.ndarray, " results"]

    def __getitem__(self, which: Bool[np.ndarray, " results"]) -> "Results":
        """Return some of them."""
        return Results(
            self.scores[which],
            self.matches[which],
            self.places[which],
            self.present[which],
            self.products[which],
        )

    @cached_property
    def first(self) -> Bool[np.ndarray, " results"]:
        """Which are an answer's first result."""
        first: Bool[np.ndarray, " results"] = self.places == 0
        return first

    @cached_property
    def clusters(self) -> Int[np.ndarray, " results"]:
        """The products again, numbered without gaps."""
        return np.unique(self.products, return_inverse=True)[1]

    @property
    def product_count(self) -> int:
        """How many products there are results of."""
        return int(self.clusters.max(initial=-1)) + 1


def ask(
    index: Searchable[Any],
    catalog: Catalog,
    queries: Queries,
    vectors: Float32[np.ndarray, "queries dim"],
    *,
    on_progress: Callable[[int], object] = lambda queries_done: None,
) -> Results:
    """Ask each query twice: with its product in the catalogue, and as if that were not there.

    An answer is a first page, as the function gives it by default. The second one is the first,
    of one product more, without the query's own.

    Args:
        index: the release's.
        catalog: the release's.
        queries: at least one. The release has a photo of each one's product besides its own row.
        vectors: of the queries, by the release's program.
        on_progress: called with 1 after each query.
    """
    _, product = np.unique(np.array(queries.products, np.str_), return_inverse=True)
    answers: list[Results] = []
    rows = queries.own_rows.tolist()
    for number, right, vector, row in zip(product, queries.products, vectors, rows, strict=True):
        searched = index if row < 0 else _Without(index, row)
        ranking = rank_products(searched, vector, DEFAULT_PAGE_SIZE + 1)
        nearest = catalog.shown([item.rows[0] for item in ranking])
        matches = np.array([found.id == right for found, _ in nearest], bool)
        scores = np.array([item.score for item in ranking], np.float64)
        for present in (True, False):
            kept = np.flatnonzero(matches <= present)[:DEFAULT_PAGE_SIZE]
            answers.append(
                Results(
                    scores[kept],
                    matches[kept],
                    np.arange(len(kept)),
                    np.full(len(kept), present),
                    np.full(len(kept), number, np.int64),
                )
            )
        on_progress(1)
    return Results(
        np.concatenate([answer.scores for answer in answers]),
        np.concatenate([answer.matches for answer in answers]),
        np.concatenate([answer.places for answer in answers]),
        np.concatenate([answer.present for answer in answers]),
        np.concatenate([answer.products for answer in answers]),
    )


@dataclass(frozen=True)
class _Without[Allowed](Searchable[Allowed]):
    """An index from whose answers one row is missing: the query photo itself, by its number."""

    index: Searchable[Allowed]
    row: int

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: Allowed | None = None
    ) -> list[Hits]:
        found = self.index.search(vectors, k + 1, allowed)
        return [hits.at(np.flatnonzero(hits.rows != self.row)[:k]) for hits in found]

    def count(self) -> Counts:
        return self.index.count()
