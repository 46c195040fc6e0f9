"""Differentiable ranks of an anchor's positives, in memory of batch × others.

Written down plainly, ranks compare all others with all others for each anchor: batch × others².
Only the ranks of positives are wanted, so one positive of each anchor is taken at a time, in as
many rounds as the anchor with the most positives needs; the backward pass repeats the rounds.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

Matrix = Float[Array, "batch others"]
Mask = Bool[Array, "batch others"]


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def soft_count_above(
    similarity: Float[Array, "batch others"],
    ranked: Bool[Array, "batch others"],
    counted: Bool[Array, "batch others"],
    temperature: float,
) -> Float[Array, "batch others"]:
    """How many of the counted others are more similar to the anchor than each ranked one.

        count(i, p) = Σ_{z counted, z ≠ p} σ((Sᵢ_z − Sᵢₚ) / τ),    σ(x) = 1 / (1 + exp(−x))

    Args:
        similarity: S, of each anchor to the others.
        ranked: the pairs (i, p) whose count is wanted; few an anchor, for speed.
        counted: the pairs (i, z) that are counted.
        temperature: τ > 0; towards 0 the sigmoid becomes the step of a true rank.

    Returns:
        The counts, from 0 on, at ranked pairs; 0 elsewhere. Reverse-mode gradients only.
    """

    def add_counts(at: Mask, counts: Matrix) -> Matrix:
        chosen = _chosen(similarity, at)
        above = jax.nn.sigmoid((similarity - chosen) / temperature)
        count = jnp.sum(above, axis=1, keepdims=True, where=counted & ~at)
        return jnp.where(at, count, counts)

    return _for_each_ranked(ranked, add_counts, jnp.zeros_like(similarity))


def _forward(
    similarity: Matrix, ranked: Mask, counted: Mask, temperature: float
) -> tuple[Matrix, tuple[Matrix, Mask, Mask]]:
    counts = soft_count_above(similarity, ranked, counted, temperature)
    return counts, (similarity, ranked, counted)


def _backward(
    temperature: float, saved: tuple[Matrix, Mask, Mask], cotangent: Matrix
) -> tuple[Matrix, None, None]:
    similarity, ranked, counted = saved

    def add_slopes(at: Mask, gradient: Matrix) -> Matrix:
        above = jax.nn.sigmoid((similarity - _chosen(similarity, at)) / temperature)
        slope = above * (1 - above) / temperature * _chosen(cotangent, at)
        slope = jnp.where(counted & ~at, slope, 0.0)
        # Each counted one raises the count, and the ranked one itself lowers it.
        return gradient + slope - jnp.where(at, jnp.sum(slope, axis=1, keepdims=True), 0.0)

    return _for_each_ranked(ranked, add_slopes, jnp.zeros_like(similarity)), None, None


soft_count_above.defvjp(_forward, _backward)


def _chosen(values: Matrix, at: Mask) -> Float[Array, "batch 1"]:
    """Each row's value at its one marked column; 0 in a row without a mark."""
    return jnp.sum(values, axis=1, keepdims=True, where=at)


def _for_each_ranked(ranked: Mask, add: Callable[[Mask, Matrix], Matrix], total: Matrix) -> Matrix:
    """Call `add(at, total)` for the first ranked column of each row, the second, and so on.

    `at` marks that column; a row that has no more is not marked. Mathematically a scan, but one
    that ends with the anchor that has the most.
    """
    order = jnp.cumsum(ranked, axis=1)

    def add_next(number: Integer[Array, ""], total: Matrix) -> Matrix:
        return add(ranked & (order == number), total)

    rounds = jnp.max(order, initial=0)
    summed: Matrix = lax.fori_loop(1, rounds + 1, add_next, total)
    return summed
