"""The softmax that N-pair and NT-Xent share."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from trainer.losses.numerics import log_sum_exp
from trainer.losses.pairs import Pairs


def one_positive_against_negatives(
    pairs: Pairs, temperature: float
) -> Float[Array, "batch others"]:
    """−log of the other's share: log[1 + Σ_{n ∈ N(i)} exp((Sᵢₙ − Sᵢₚ) / τ)] for each pair (i, p).

    An anchor without negatives has 0. Meant to be read at positive pairs.
    """
    scaled = pairs.similarity / temperature
    negatives = log_sum_exp(scaled, pairs.negative)[:, None]
    has_negative = jnp.any(pairs.negative, axis=1, keepdims=True)
    return jnp.where(has_negative, jax.nn.softplus(negatives - scaled), 0.0)
