"""Where each query's relevant photos stand in the gallery, without holding the full matrix.

A rank is one more than the number of photos that score higher, so it is counted instead of
sorted: each block of similarities is compared with the scores of the relevant photos and dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Int, Int32

TIE_COSINE = 1e-6
"""Cosines that differ by no more than this tie: float32 sums of one product differ by less,
whatever their order, and those of two copies of a photo must not."""

# What a score of another class must reach to stand before a relevant one: pessimistic, optimistic.
_TIE = np.array([-TIE_COSINE, TIE_COSINE], np.float32)
_NO_CLASS = -1
_NO_ROW = -1


@dataclass(frozen=True, eq=False)
class RankedBlock:
    """Some of the queries and the ranks of their relevant photos."""

    queries: Int[np.ndarray, " block"]
    """Which queries."""
    relevant: Int[np.ndarray, " block"]
    """How many relevant photos each has."""
    pessimistic: Int[np.ndarray, "block width"]
    """The relevant photos' ranks from 1, nearest first, where all that ties with one of them stands
    before it; the entries past `relevant` mean nothing."""
    optimistic: Int[np.ndarray, "block width"]
    """The same where all that ties with one of them stands behind it."""


def rank_relevant(
    queries: Float32[np.ndarray, "queries dim"],
    query_class: Int[np.ndarray, " queries"],
    gallery: Float32[np.ndarray, "gallery dim"],
    gallery_class: Int[np.ndarray, " gallery"],
    self_index: Int[np.ndarray, " queries"],
    *,
    block: int,
) -> Iterator[RankedBlock]:
    """Yield every query once, in blocks, with the ranks of the gallery photos of its class.

    Args:
        queries: `[queries, dim]`, unit rows.
        query_class: `[queries]`, numbers ≥ 0.
        gallery: `[gallery, dim]`, unit rows.
        gallery_class: `[gallery]`, numbers ≥ 0.
        self_index: `[queries]`: the gallery row to leave out of a query's ranking, or -1.
        block: queries, and gallery rows, compared at a time.
    """
    # In the order of classes, the relevant photos are one slice of the gallery.
    order = np.argsort(gallery_class, kind="stable")
    gallery, gallery_class = gallery[order], gallery_class[order]
    row_of = np.append(np.argsort(order, kind="stable"), _NO_ROW)  # -1 finds the appended one
    self_row = row_of[self_index]
    first = np.searchsorted(gallery_class, query_class, side="left")
    last = np.searchsorted(gallery_class, query_class, side="right")
    relevant = last - first - ((first <= self_row) & (self_row < last))

    blocks = _in_blocks(gallery, gallery_class, min(block, max(1, len(gallery))))
    size, width = min(block, max(1, len(queries))), max(1, relevant.max(initial=0))
    # Queries with equally many relevant photos share a block: each counts no more than it needs.
    for chosen in _chunks(np.argsort(relevant, kind="stable"), size):
        thresholds = np.full((size, width, 2), np.inf, np.float32)
        for slot, query in enumerate(chosen):
            members = np.arange(first[query], last[query])
            members = members[members != self_row[query]]
            scores = np.sort(gallery[members] @ queries[query])[::-1]
            thresholds[slot, : members.size] = scores[:, None] + _TIE
        ahead = count_ahead(
            _padded(queries[chosen], size, 0),
            _padded(query_class[chosen], size, _NO_CLASS),
            _padded(self_row[chosen], size, _NO_ROW),
            thresholds.reshape(size, -1),
            (2 * relevant[chosen].max()).astype(np.int32),
            *blocks,
        )
        ahead = np.asarray(ahead).reshape(size, width, 2)[: chosen.size]
        ranks = ahead + np.arange(1, width + 1)[:, None]
        yield RankedBlock(chosen, relevant[chosen], ranks[..., 0], ranks[..., 1])


@jax.jit
def count_ahead(
    queries: Float32[Array, "size dim"],
    query_class: Int32[Array, " size"],
    self_row: Int32[Array, " size"],
    thresholds: Float32[Array, "size width"],
    used: Int32[Array, ""],
    gallery: Float32[Array, "blocks block dim"],
    gallery_class: Int32[Array, "blocks block"],
    gallery_row: Int32[Array, "blocks block"],
) -> Int32[Array, "size width"]:
    """How many photos of other classes reach each of the first `used` thresholds of a query."""

    def add_block(
        counts: Int32[Array, "size width"], block: tuple[Array, Array, Array]
    ) -> tuple[Int32[Array, "size width"], None]:
        vectors, classes, rows = block
        # HIGHEST: products in TF32 or bfloat16 would swap near neighbours.
        scores = jnp.matmul(queries, vectors.T, precision=lax.Precision.HIGHEST)
        other = (classes != query_class[:, None]) & (classes != _NO_CLASS)
        scores = jnp.where(other & (rows != self_row[:, None]), scores, -jnp.inf)

        def add_threshold(
            column: Int32[Array, ""], counts: Int32[Array, "size width"]
        ) -> Int32[Array, "size width"]:
            threshold = lax.dynamic_index_in_dim(thresholds, column, axis=1)
            reached = jnp.sum(scores >= threshold, axis=1, dtype=jnp.int32)
            return counts.at[:, column].add(reached)

        return lax.fori_loop(0, used, add_threshold, counts), None

    counts = jnp.zeros(thresholds.shape, jnp.int32)
    return lax.scan(add_block, counts, (gallery, gallery_class, gallery_row))[0]


def _in_blocks(
    gallery: Float32[np.ndarray, "gallery dim"],
    gallery_class: Int[np.ndarray, " gallery"],
    block: int,
) -> tuple[Float32[Array, "blocks block dim"], Int32[Array, "..."], Int32[Array, "..."]]:
    """The gallery, its classes and its row numbers on the device, the last block filled up."""
    blocks = max(1, -(-len(gallery) // block))
    vectors = _padded(gallery, blocks * block, 0)
    classes = _padded(gallery_class, blocks * block, _NO_CLASS)
    rows = np.arange(blocks * block, dtype=np.int32)
    return (
        jnp.asarray(vectors.reshape(blocks, block, -1)),
        jnp.asarray(classes.reshape(blocks, block)),
        jnp.asarray(rows.reshape(blocks, block)),
    )


def _chunks(items: Int[np.ndarray, " items"], size: int) -> Iterator[Int[np.ndarray, " chunk"]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _padded(array: np.ndarray, rows: int, value: int) -> np.ndarray:
    """`array` with `rows` rows, the missing ones filled; integers become int32."""
    dtype = np.int32 if np.issubdtype(array.dtype, np.integer) else array.dtype
    filled = np.full((rows, *array.shape[1:]), value, dtype)
    filled[: len(array)] = array
    return filled
