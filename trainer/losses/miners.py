"""Miners: which pairs of a batch a loss should learn from. Their choice carries no gradient."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from trainer.losses.pairs import Pairs


def hardest_positive(pairs: Pairs) -> Float[Array, "batch 1"]:
    """Each anchor's lowest similarity to a positive; ∞ without one."""
    return jnp.min(pairs.similarity, axis=1, keepdims=True, initial=jnp.inf, where=pairs.positive)


def hardest_negative(pairs: Pairs) -> Float[Array, "batch 1"]:
    """Each anchor's highest similarity to a negative; −∞ without one."""
    return jnp.max(pairs.similarity, axis=1, keepdims=True, initial=-jnp.inf, where=pairs.negative)


def near_an_opponent(pairs: Pairs, epsilon: float) -> Pairs:
    """Narrow both masks as the multi-similarity paper's pair mining does (its L_MS's first step).

    Kept are negatives with S + ε above the anchor's hardest positive, and positives with S − ε
    below its hardest negative; an anchor that lacks one kind keeps none of the other.

    Source: https://arxiv.org/abs/1904.06627
    """
    positives, negatives = hardest_positive(pairs), hardest_negative(pairs)
    # Written as "not easy": NaN compares false, and has to be kept to show in the loss.
    return Pairs(
        pairs.similarity,
        pairs.positive & ~(pairs.similarity - epsilon >= negatives),
        pairs.negative & ~(pairs.similarity + epsilon <= positives),
    )


def next_negative(
    pairs: Pairs,
) -> tuple[Float[Array, "batch others"], Bool[Array, "batch others"]]:
    """For each pair, the most similar negative that is less similar to the anchor than the other.

    At a positive pair this is the hardest semi-hard negative (FaceNet:
    https://arxiv.org/abs/1503.03832).

    Returns:
        That negative's similarity to the anchor, through which gradients flow, and whether there
        is one; the similarity is 0 where there is none.
    """
    ascending = jnp.sort(jnp.where(pairs.negative, pairs.similarity, -jnp.inf), axis=1)
    below = jax.vmap(jnp.searchsorted)(ascending, lax.stop_gradient(pairs.similarity))
    found = jnp.take_along_axis(ascending, jnp.maximum(below - 1, 0), axis=1)
    exists = (below > 0) & (found != -jnp.inf)
    return jnp.where(exists, found, 0.0), exists
