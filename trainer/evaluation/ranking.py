"""Where each query's relevant photos stand in the gallery, without holding the full matrix."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32, Shaped

from trainer.evaluation.counting import (
    MAX_BLOCK,
    NO_CLASS,
    count_ahead,
    count_ahead_both_ways,
)

_NO_ROW = -1
# Relevant scores of all photos at once, in leave-one-out: as many as some 200 MB hold with counts.
_MAX_SCORES = 1 << 24
_SCORES_AT_A_TIME = 1 << 22


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
    block = min(block, MAX_BLOCK)
    # In the order of classes, the relevant photos are one slice of the gallery.
    order = np.argsort(gallery_class, kind="stable")
    gallery, gallery_class = gallery[order], gallery_class[order]
    row_of = np.append(np.argsort(order, kind="stable"), _NO_ROW)  # -1 finds the appended one
    self_row = row_of[self_index]
    first = np.searchsorted(gallery_class, query_class, side="left")
    last = np.searchsorted(gallery_class, query_class, side="right")
    relevant = last - first - ((first <= self_row) & (self_row < last))

    on_device = _in_blocks(gallery, gallery_class, min(block, max(1, len(gallery))))
    size, width = min(block, max(1, len(queries))), max(1, relevant.max(initial=0))
    # Queries with equally many relevant photos share a block: each counts no more than it needs.
    for chosen in _chunks(np.argsort(relevant, kind="stable"), size):
        relevant_scores = np.full((size, width), np.inf, np.float32)
        for slot, query in enumerate(chosen):
            scores = gallery[first[query] : last[query]] @ queries[query]
            if relevant[query] < scores.size:
                scores = np.delete(scores, self_row[query] - first[query])
            relevant_scores[slot, : scores.size] = np.sort(scores)[::-1]
        counts = count_ahead(
            _padded(queries[chosen], size, 0),
            _padded(query_class[chosen], size, NO_CLASS),
            _padded(self_row[chosen], size, _NO_ROW),
            np.ascontiguousarray(relevant_scores.T),
            relevant[chosen].max().astype(np.int32),
            *on_device,
        )
        yield _ranked(chosen, relevant[chosen], *(np.asarray(count) for count in counts))


def can_rank_leave_one_out(classes: Int[np.ndarray, " rows"]) -> bool:
    """Whether `rank_leave_one_out` has the memory for the largest class."""
    return int(np.bincount(classes).max(initial=0)) * len(classes) <= _MAX_SCORES


def rank_leave_one_out(
    vectors: Float32[np.ndarray, "rows dim"], classes: Int[np.ndarray, " rows"], *, block: int
) -> Iterator[RankedBlock]:
    """Yield every row once, in blocks, with the ranks of the others of its class among all others.

    What `rank_relevant` yields where queries and gallery are the same, in half of the time.

    Args:
        vectors: `[rows, dim]`, unit rows.
        classes: `[rows]`, numbers ≥ 0.
        block: rows compared at a time.
    """
    if not len(vectors):
        return
    # Rows with equally many relevant ones share a block, as do those of one class.
    members = np.bincount(classes)[classes]
    order = np.lexsort((classes, members))
    members = members[order]
    width = max(1, int(members[-1]) - 1)
    size = min(block, MAX_BLOCK, len(vectors))
    vectors = vectors[order]
    # Numbered anew, in this order.
    position = np.cumsum(np.diff(classes[order], prepend=classes[order[0]]) != 0)
    on_device = _in_blocks(vectors, position, size)
    scores = _padded(_scores_within_classes(vectors, members, width), on_device[1].size, np.inf)
    relevant_scores = jnp.asarray(scores.reshape(-1, size, width).swapaxes(1, 2))
    used = np.isfinite(scores).sum(1).reshape(-1, size).max(1).astype(np.int32)
    counts = jnp.zeros_like(relevant_scores, jnp.int32), jnp.zeros_like(relevant_scores, jnp.int32)
    for number, rows in enumerate(_chunks(np.arange(len(vectors)), size)):
        counts = count_ahead_both_ways(np.int32(number), counts, *on_device, relevant_scores, used)
        ahead = (np.asarray(count[number]) for count in counts)
        yield _ranked(order[rows], members[rows] - 1, *ahead)


def _scores_within_classes(
    vectors: Float32[np.ndarray, "rows dim"], members: Int[np.ndarray, " rows"], width: int
) -> Float32[np.ndarray, "rows width"]:
    """Each row's cosines with the others of its class, falling, +inf past the last.

    The rows lie class by class, the smallest classes first; `members` is the size of the class.
    """
    scores = np.full((len(vectors), width), np.inf, np.float32)
    for size in np.unique(members[members > 1]):
        start, stop = np.searchsorted(members, (size, size + 1))
        step = size * max(1, _SCORES_AT_A_TIME // size**2)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            classes = vectors[first:last].reshape(-1, size, vectors.shape[1])
            cosines = classes @ classes.swapaxes(1, 2)
            cosines[:, np.arange(size), np.arange(size)] = -np.inf
            cosines.sort(axis=2)
            scores[first:last, : size - 1] = cosines[:, :, :0:-1].reshape(-1, size - 1)
    return scores


def _ranked(
    queries: Int[np.ndarray, " block"],
    relevant: Int[np.ndarray, " block"],
    ties_or_higher: Int32[np.ndarray, "width size"],
    higher: Int32[np.ndarray, "width size"],
) -> RankedBlock:
    nth = np.arange(1, len(higher) + 1)
    pessimistic, optimistic = (count.T[: queries.size] + nth for count in (ties_or_higher, higher))
    return RankedBlock(queries, relevant, pessimistic, optimistic)


def _in_blocks(
    gallery: Float32[np.ndarray, "gallery dim"],
    gallery_class: Int[np.ndarray, " gallery"],
    block: int,
) -> tuple[Float32[Array, "blocks block dim"], Int32[Array, "blocks block"]]:
    """The gallery and its classes on the device, the last block filled up."""
    rows = max(1, -(-len(gallery) // block)) * block
    vectors = _padded(gallery, rows, 0)
    classes = _padded(gallery_class, rows, NO_CLASS)
    return (
        jnp.asarray(vectors.reshape(-1, block, vectors.shape[1])),
        jnp.asarray(classes.reshape(-1, block)),
    )


def _chunks(items: Int[np.ndarray, " items"], size: int) -> Iterator[Int[np.ndarray, " chunk"]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _padded(
    array: Shaped[np.ndarray, "..."], rows: int, value: int | float
) -> Shaped[np.ndarray, "..."]:
    """`array` with `rows` rows, the missing ones filled; integers become int32."""
    dtype = np.int32 if np.issubdtype(array.dtype, np.integer) else array.dtype
    filled = np.full((rows, *array.shape[1:]), value, dtype)
    filled[: len(array)] = array
    return filled
