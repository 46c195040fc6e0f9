"""From vectors and product ids to the ranks of the relevant photos, in the quickest way."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int, Int64, Shaped

from trainer.errors import LookalikeError
from trainer.evaluation.ranking import (
    RankedBlock,
    can_rank_leave_one_out,
    rank_leave_one_out,
    rank_relevant,
)

type Ids = Sequence[str] | Sequence[int] | Shaped[np.ndarray, "_"]


def rank_by_product(
    queries: Float[np.ndarray, "queries dim"],
    query_ids: Ids,
    gallery: Float[np.ndarray, "gallery dim"],
    gallery_ids: Ids,
    *,
    self_index: Int[np.ndarray, " queries"] | None,
    block: int,
) -> tuple[Int64[np.ndarray, " queries"], Iterator[RankedBlock]]:
    """Number the queries' products from 0, and rank each query's relevant photos in blocks.

    Args and raises: as `trainer.evaluation.metrics.retrieval_metrics`.
    """
    if self_index is None:
        self_index = np.full(len(queries), -1)
    _check(queries, query_ids, gallery, gallery_ids, self_index)
    names = np.concatenate([np.asarray(query_ids), np.asarray(gallery_ids)])
    classes = np.unique(names, return_inverse=True)[1]
    product = classes[: len(queries)]
    return product, _ranked(queries, product, gallery, classes[len(queries) :], self_index, block)


def _ranked(
    queries: Float[np.ndarray, "queries dim"],
    query_class: Int[np.ndarray, " queries"],
    gallery: Float[np.ndarray, "gallery dim"],
    gallery_class: Int[np.ndarray, " gallery"],
    self_index: Int[np.ndarray, " queries"],
    block: int,
) -> Iterator[RankedBlock]:
    leave_one_out = (
        np.array_equal(self_index, np.arange(len(gallery)))
        and np.array_equal(query_class, gallery_class)
        and (queries is gallery or np.array_equal(queries, gallery))
    )
    if leave_one_out and can_rank_leave_one_out(gallery_class):
        return rank_leave_one_out(_unit_rows(gallery), gallery_class, block=block)
    return rank_relevant(
        _unit_rows(queries),
        query_class,
        _unit_rows(gallery),
        gallery_class,
        self_index,
        block=block,
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
