"""Retrieval metrics over any number of queries, in blocks: the full matrix is never held.

Recall@k, R-precision and MAP@R as in Musgrave, Belongie, Lim: A Metric Learning Reality Check,
ECCV 2020, section 3.2. https://arxiv.org/abs/2003.08505

Photos that score alike leave the ranking open. Every figure is therefore known as a pair, between
which it lies for any order of the ties: pessimistic, with other products' photos first, and
optimistic, with them last. Cabanac, Hubert, Boughanem, Chrisment: Tie-Breaking Bias: Effect of an
Uncontrolled Parameter on Information Retrieval Evaluation, CLEF 2010, section 4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64, Shaped

from trainer.evaluation.retrieval import Ids, rank_by_product


@dataclass(frozen=True, eq=False)
class QueryMetrics:
    """What each query found, with all ties decided one way."""

    first_rank: Int64[np.ndarray, " queries"]
    """The place of the nearest relevant photo, from 1; 0 where there is none."""
    average_precision: Float64[np.ndarray, " queries"]
    """At R: 1/R Σ_{i≤R} P(i)·rel(i), P(i) the precision among the i nearest, R how many relevant
    photos the gallery holds: in leave-one-out the size of the class less one. 0 where R is 0."""
    r_precision: Float64[np.ndarray, " queries"]
    """r/R, r being the relevant photos among the R nearest; 0 where R is 0."""

    @classmethod
    def empty(cls, queries: int) -> "QueryMetrics":
        """Nothing found, to be filled in."""
        return cls(np.zeros(queries, np.int64), np.zeros(queries), np.zeros(queries))

    def fill(
        self,
        queries: Int[np.ndarray, " block"],
        relevant: Int[np.ndarray, " block"],
        ranks: Int[np.ndarray, "block width"],
    ) -> None:
        """Enter some queries by the ranks of their relevant photos, as `RankedBlock` has them."""
        nth = np.arange(1, ranks.shape[1] + 1)
        count = relevant[:, None]
        found = (nth <= count) & (ranks <= count)
        at_least_one = np.maximum(relevant, 1)
        self.first_rank[queries] = np.where(relevant > 0, ranks[:, 0], 0)
        self.r_precision[queries] = found.sum(1) / at_least_one
        # The nth relevant photo at rank i makes P(i) = n / i.
        self.average_precision[queries] = (found * nth / ranks).sum(1) / at_least_one

    def values(self, name: str) -> Float64[np.ndarray, " queries"]:
        """Each query's share in a figure: "recall_at_K" for any K, "map_at_r", "r_precision"."""
        if name == "map_at_r":
            return self.average_precision
        if name == "r_precision":
            return self.r_precision
        depth = int(name.removeprefix("recall_at_"))
        return ((self.first_rank > 0) & (self.first_rank <= depth)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class RetrievalMetrics:
    """What the queries found.

    Averages are over the queries that have something to find, NaN where none has, and pessimistic;
    `trainer.evaluation.averages` gives them as pairs, with confidence intervals.
    """

    ks: tuple[int, ...]
    """The depths of recall@k."""
    gallery: int
    """Gallery photos."""
    pessimistic: QueryMetrics
    """Of all queries, where photos of other products stand first among ties."""
    optimistic: QueryMetrics
    """Of all queries, where they stand last."""
    product: Int64[np.ndarray, " queries"]
    """The product of each query, numbered from 0: what belongs together in a bootstrap."""

    @property
    def names(self) -> tuple[str, ...]:
        """What is measured, as `to_dict` and `QueryMetrics.values` call it."""
        return (*(f"recall_at_{k}" for k in self.ks), "map_at_r", "r_precision")

    @cached_property
    def counted(self) -> Bool[np.ndarray, " queries"]:
        """The queries averaged over: the gallery holds a (another) photo of their product."""
        return self.pessimistic.first_rank > 0

    @property
    def recall_at(self) -> dict[int, float]:
        """By k: the share of queries with a relevant photo among their k nearest."""
        ranks = np.sort(self.first_rank[self.counted])
        within = np.searchsorted(ranks, self.ks, side="right")
        return {
            k: int(n) / ranks.size if ranks.size else float("nan")
            for k, n in zip(self.ks, within, strict=True)
        }

    @property
    def map_at_r(self) -> float:
        """MAP@R: the mean of the average precisions at R."""
        return _mean(self.pessimistic.average_precision[self.counted])

    @property
    def r_precision(self) -> float:
        """The mean of the R-precisions."""
        return _mean(self.pessimistic.r_precision[self.counted])

    @property
    def queries(self) -> int:
        """Queries averaged over."""
        return int(self.counted.sum())

    @property
    def queries_without_relevant(self) -> int:
        """Queries left out: the gallery holds no (other) photo of their product."""
        return int((~self.counted).sum())

    @property
    def first_rank(self) -> Int64[np.ndarray, " queries"]:
        """The pessimistic place of each query's nearest relevant photo, from 1; 0: none."""
        return self.pessimistic.first_rank

    def to_dict(self) -> dict[str, float | int | None]:
        """The pessimistic figures by name, ready for JSON: an average over no query is None."""
        averages = {f"recall_at_{k}": value for k, value in self.recall_at.items()}
        averages |= {"map_at_r": self.map_at_r, "r_precision": self.r_precision}
        return {
            **{name: None if np.isnan(value) else value for name, value in averages.items()},
            "queries": self.queries,
            "queries_without_relevant": self.queries_without_relevant,
            "gallery": self.gallery,
        }


def retrieval_metrics(
    queries: Float[np.ndarray, "queries dim"],
    query_ids: Ids,
    gallery: Float[np.ndarray, "gallery dim"],
    gallery_ids: Ids,
    *,
    self_index: Int[np.ndarray, " queries"] | None = None,
    ks: Sequence[int] = (1, 5, 10, 100),
    block: int = 512,
    on_progress: Callable[[int], object] = lambda queries_done: None,
) -> RetrievalMetrics:
    """Rank the gallery by cosine similarity for every query and average the field's metrics.

    Photos of other products tie with a relevant one where their cosines differ by no more than
    1e-6 (`counting.TIE_COSINE`), what float32 sums may differ by. So the figures depend neither on
    the order of the rows nor on the block size, and an embedding that maps all photos to one point
    scores 0 pessimistically, 1 optimistically. Libraries that leave ties to their sort report
    figures between the two that depend on both.

    Memory beyond the vectors and a copy in the order of products: some `block` × `block` numbers,
    and three for each query and relevant photo (in leave-one-out; else of a block's queries).
    Time: one product of all queries with all gallery rows, of which leave-one-out needs half, and
    for each of those similarities one comparison with each relevant photo's.

    Args:
        queries: `[queries, dim]`, any float type; rows are L2-normalised here, in float32. A zero
            row is orthogonal to everything.
        query_ids: the product of each query.
        gallery: `[gallery, dim]`, likewise.
        gallery_ids: the product of each gallery photo.
        self_index: `[queries]`: the gallery row that is the query photo itself and leaves its
            ranking, or -1 where there is none. `np.arange(len(gallery))` is leave-one-out.
        ks: the depths of recall@k; they may exceed the gallery.
        block: queries, and gallery rows, compared at a time.
        on_progress: called with the number of queries just finished.

    Raises:
        ValueError: the shapes do not belong together, or `self_index` is outside the gallery.
        LookalikeError: a vector has an entry that is NaN or infinite.
    """
    product, blocks = rank_by_product(
        queries, query_ids, gallery, gallery_ids, self_index=self_index, block=block
    )
    pessimistic, optimistic = (QueryMetrics.empty(len(queries)) for _ in range(2))
    for ranked in blocks:
        pessimistic.fill(ranked.queries, ranked.relevant, ranked.pessimistic)
        optimistic.fill(ranked.queries, ranked.relevant, ranked.optimistic)
        on_progress(len(ranked.queries))
    return RetrievalMetrics(tuple(ks), len(gallery), pessimistic, optimistic, product)


def _mean(values: Shaped[np.ndarray, " queries"]) -> float:
    return float(values.mean()) if values.size else float("nan")
