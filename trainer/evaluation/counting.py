"""How many photos score higher than a query's relevant ones, counted on the device in blocks.

A rank is one more than the number of photos that score higher, so it is counted instead of
sorted: each block of similarities is compared with the scores of the relevant photos and dropped.
Ties are counted both ways in the same pass, which costs no more than one: the pass waits for
memory, not for the comparison.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32, Int32

TIE_COSINE = 1e-6
"""Cosines that differ by no more than this tie: float32 sums of one product differ by less,
whatever their order, and those of two copies of a photo must not."""

NO_CLASS = (1 << 31) - 1
"""The class of rows that only fill a block up; the last in the order of classes."""

MAX_BLOCK = 1 << 14
"""Rows of a block, at most: two counts share 32 bits."""

_UPPER = 1 << 16

type Counts = tuple[Int32[Array, "width queries"], Int32[Array, "width queries"]]
"""By relevant photo and query: how many tie with it or score higher, and how many score higher."""

type BlockCounts = tuple[Int32[Array, "blocks width block"], Int32[Array, "blocks width block"]]
"""The same by block of queries."""


@jax.jit
def count_ahead(
    queries: Float32[Array, "queries dim"],
    query_class: Int32[Array, " queries"],
    self_row: Int32[Array, " queries"],
    relevant_scores: Float32[Array, "width queries"],
    used: Int32[Array, ""],
    gallery: Float32[Array, "blocks block dim"],
    gallery_class: Int32[Array, "blocks block"],
) -> Counts:
    """Count the gallery photos of other classes ahead of each query's relevant ones.

    Args:
        queries: `[queries, dim]`, unit rows.
        query_class: `[queries]`.
        self_row: `[queries]`: the row of the gallery that is left out, or -1.
        relevant_scores: `[width, queries]`: cosines with the relevant photos, +inf past the last.
        used: how many of the `width` have a score below +inf for any query.
        gallery: `[blocks, block, dim]`, unit rows.
        gallery_class: `[blocks, block]`, `NO_CLASS` for rows that only fill up.
    """
    block = gallery.shape[1]

    def add_block(
        counts: Counts, item: tuple[Int32[Array, ""], Float32[Array, "..."], Int32[Array, "..."]]
    ) -> tuple[Counts, None]:
        number, vectors, classes = item
        rows = number * block + jnp.arange(block, dtype=jnp.int32)
        other = (classes[:, None] != query_class) & (classes != NO_CLASS)[:, None]
        scores = jnp.where(
            other & (rows[:, None] != self_row), _cosines(vectors, queries), -jnp.inf
        )
        return _counted(scores, relevant_scores, used, counts, axis=0), None

    numbers = jnp.arange(len(gallery), dtype=jnp.int32)
    nothing = jnp.zeros(relevant_scores.shape, jnp.int32)
    return lax.scan(add_block, (nothing, nothing), (numbers, gallery, gallery_class))[0]


@partial(jax.jit, donate_argnums=1)
def count_ahead_both_ways(
    number: Int32[Array, ""],
    counts: BlockCounts,
    vectors: Float32[Array, "blocks block dim"],
    classes: Int32[Array, "blocks block"],
    relevant_scores: Float32[Array, "blocks width block"],
    used: Int32[Array, " blocks"],
) -> BlockCounts:
    """Count one block of rows against itself and all later blocks, and these against it.

    Cosines are symmetric, so that each product of two blocks serves the queries of both: called
    with every `number` from 0, this needs half of the arithmetic that `count_ahead` does.

    Args:
        number: of the block.
        counts: of all blocks so far; those of blocks up to `number` are then complete.
        vectors: `[blocks, block, dim]`, unit rows in the order of their classes.
        classes: `[blocks, block]`, never falling; `NO_CLASS` for rows that only fill up.
        relevant_scores: `[blocks, width, block]`: cosines with the relevant photos, +inf past the
            last.
        used: `[blocks]`: how many of the `width` have a score below +inf in a block.
    """

    def apart(
        scores: Float32[Array, "block block"], other: Int32[Array, ""]
    ) -> Float32[Array, "block block"]:
        of_other = classes[other][None]
        kept = (classes[number][:, None] != of_other) & (of_other != NO_CLASS)
        return jnp.where(kept, scores, -jnp.inf)

    def add_block(
        other: Int32[Array, ""], state: tuple[Counts, BlockCounts]
    ) -> tuple[Counts, BlockCounts]:
        own, (ties, higher) = state
        scores = _cosines(vectors[number], vectors[other])
        # Elsewhere no two rows are of one class, and none only fills up.
        touching = (classes[other, 0] <= classes[number, -1]) | (other == len(vectors) - 1)
        scores = lax.cond(touching, apart, lambda scores, other: scores, scores, other)
        own = _counted(scores, relevant_scores[number], used[number], own, axis=1)
        theirs = _counted(
            scores,
            relevant_scores[other],
            jnp.where(other == number, 0, used[other]),
            (ties[other], higher[other]),
            axis=0,
        )
        return own, (ties.at[other].set(theirs[0]), higher.at[other].set(theirs[1]))

    own = counts[0][number], counts[1][number]
    own, (ties, higher) = lax.fori_loop(number, len(vectors), add_block, (own, counts))
    return ties.at[number].set(own[0]), higher.at[number].set(own[1])


def _cosines(
    rows: Float32[Array, "rows dim"], columns: Float32[Array, "columns dim"]
) -> Float32[Array, "rows columns"]:
    # HIGHEST: products in TF32 or bfloat16 would swap near neighbours.
    return jnp.matmul(rows, columns.T, precision=lax.Precision.HIGHEST)


def _counted(
    scores: Float32[Array, "rows columns"],
    relevant_scores: Float32[Array, "width queries"],
    used: Int32[Array, ""],
    counts: Counts,
    *,
    axis: int,
) -> Counts:
    """Add the photos along `axis` that are ahead; the queries lie along the other axis."""

    def add(column: Int32[Array, ""], counts: Counts) -> Counts:
        relevant = jnp.expand_dims(relevant_scores[column], axis)
        reached = jnp.where(scores >= relevant - TIE_COSINE, 1, 0)
        both = jnp.where(scores > relevant + TIE_COSINE, _UPPER + 1, reached)
        total = jnp.sum(both, axis=axis, dtype=jnp.int32)
        ties, higher = counts
        return ties.at[column].add(total % _UPPER), higher.at[column].add(total // _UPPER)

    added: Counts = lax.fori_loop(0, used, add, counts)
    return added
