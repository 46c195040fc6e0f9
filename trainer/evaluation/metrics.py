"""Retrieval metrics over any number of queries, in blocks: the full matrix is never held.

Recall@k, R-precision and MAP@R as in Musgrave, Belongie, Lim: A Metric Learning Reality Check,
ECCV 2020, section 3.2. https://arxiv.org/abs/2003.08505
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from trainer.errors import LookalikeError
from trainer.evaluation.ranking import rank_relevant

type Ids = Sequence[str] | Sequence[int] | Shaped[np.ndarray, "_"]


@dataclass(frozen=True, eq=False)
class RetrievalMetrics:
    """Averages over the queries that have something to find; NaN where none has."""

    recall_at: dict[int, float]
    """By k: the share of queries with a relevant photo among their k nearest."""
    map_at_r: float
    """MAP@R = 1/R Σ_{i≤R} P(i)·rel(i), P(i) the precision among the i nearest, R how many relevant
    photos the gallery holds: in leave-one-out the size of the class less one."""
    r_precision: float
    """r/R, r being the relevant photos among the R nearest."""
    queries: int
    """Queries averaged over."""
    queries_without_relevant: int
    """Queries left out: the gallery holds no (other) photo of their product."""
    gallery: int
    """Gallery photos."""
    first_rank: Int[np.ndarray, " all_queries"]
    """The place of each query's nearest relevant photo, from 1; 0 where there is none."""

    def to_dict(self) -> dict[str, float | int | None]:
        """The figures by name, ready for JSON: an average over no query is None."""
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
    block: int = 1024,
    on_progress: Callable[[int], object] = lambda queries_done: None,
) -> RetrievalMetrics:
    """Rank the gallery by cosine similarity for every query and average the field's metrics.

    Ties are decided against the model: a photo of another product that scores as high as a
    relevant one, within 1e-6, stands before it. So the figures depend neither on the order of
    the rows nor on the block size, and an embedding that maps all photos to one point scores 0.
    Libraries that leave ties to their sort report figures that depend on both.

    Memory beyond the vectors: some `block` × (`block` + the most photos of a product) numbers.
    Time: one product of all queries with all gallery rows, and for each of those similarities
    one comparison with each relevant photo's.

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
    if self_index is None:
        self_index = np.full(len(queries), -1)
    _check(queries, query_ids, gallery, gallery_ids, self_index)
    names = np.concatenate([np.asarray(query_ids), np.asarray(gallery_ids)])
    classes = np.unique(names, return_inverse=True)[1]

    first_rank = np.zeros(len(queries), np.int64)
    r_precision = np.zeros(len(queries))
    average_precision = np.zeros(len(queries))
    for ranked in rank_relevant(
        _unit_rows(queries),
        classes[: len(queries)],
        _unit_rows(gallery),
        classes[len(queries) :],
        self_index,
        block=block,
    ):
        nth = np.arange(1, ranked.ranks.shape[1] + 1)
        count = ranked.relevant[:, None]
        found = (nth <= count) & (ranked.ranks <= count)
        at_least_one = np.maximum(ranked.relevant, 1)
        first_rank[ranked.queries] = np.where(ranked.relevant > 0, ranked.ranks[:, 0], 0)
        r_precision[ranked.queries] = found.sum(1) / at_least_one
        # The nth relevant photo at rank i makes P(i) = n / i.
        average_precision[ranked.queries] = (found * nth / ranked.ranks).sum(1) / at_least_one
        on_progress(len(ranked.queries))

    counted = first_rank > 0
    return RetrievalMetrics(
        recall_at={k: _mean(first_rank[counted] <= k) for k in ks},
        map_at_r=_mean(average_precision[counted]),
        r_precision=_mean(r_precision[counted]),
        queries=int(counted.sum()),
        queries_without_relevant=int((~counted).sum()),
        gallery=len(gallery),
        first_rank=first_rank,
    )


def _check(
    queries: np.ndarray,
    query_ids: Ids,
    gallery: np.ndarray,
    gallery_ids: Ids,
    self_index: np.ndarray,
) -> None:
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            "expected queries [queries, dim] and gallery [gallery, dim]; "
            f"found {queries.shape} and {gallery.shape}"
        )
    for what, found, expected in (
        ("query_ids", len(query_ids), len(queries)),
        ("gallery_ids", len(gallery_ids), len(gallery)),
        ("self_index", len(self_index), len(queries)),
    ):
        if found != expected:
            raise ValueError(f"expected {what} of length {expected}, one a row; found {found}")
    if self_index.size and not -1 <= self_index.min() <= self_index.max() < len(gallery):
        raise ValueError(
            f"expected self_index in -1…{len(gallery) - 1}, rows of the gallery; "
            f"found {self_index.min()}…{self_index.max()}"
        )
    for what, vectors in (("query", queries), ("gallery", gallery)):
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if bad.size:
            raise LookalikeError(
                f"{bad.size} of {len(vectors)} {what} vectors are not finite, the first is row "
                f"{bad[0]}: the model that made them has diverged; evaluate an earlier checkpoint"
            )


def _unit_rows(vectors: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
    vectors = vectors.astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(length > 0, length, 1)
    return vectors


def _mean(values: Shaped[np.ndarray, " queries"]) -> float:
    return float(values.mean()) if values.size else float("nan")
