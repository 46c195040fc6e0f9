"""Smooth-AP.

Brown, Xie, Kalogeiton, Zisserman: Smooth-AP: Smoothing the Path Towards Large-Scale Image
Retrieval, ECCV 2020. https://arxiv.org/abs/2007.12163
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import mean_over, row_mean_over
from trainer.losses.pairs import compare
from trainer.losses.references import References
from trainer.losses.soft_rank import soft_count_above


@partial(jax.jit, static_argnames=("temperature",))
def smooth_ap_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    temperature: float = 0.01,
) -> Float[Array, ""]:
    """1 − the average precision of each anchor as a query, with sigmoids for steps.

    With S the cosine similarities, the paper's loss is

        L = mean_i (1 − APᵢ),    APᵢ = 1/|P(i)| Σ_{p ∈ P(i)} R(i, p, P(i)) / R(i, p, P(i) ∪ N(i))

        R(i, p, A) = 1 + Σ_{z ∈ A, z ≠ p} σ((Sᵢ_z − Sᵢₚ) / τ)

    Conventions in which implementations differ:

    - An anchor is no positive of its own. The authors' code and pytorch-metric-learning have it
      among its positives (rank 1, always); given the anchors one by one, with the whole batch as
      references, this is their loss.
    - Classes may have any number of rows; these two want equally many of each.
    - The mean is over anchors that have a positive.

    Time grows with batch × others × the most positives of an anchor, memory with batch × others.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: further rows that are ranked with the batch's.
        temperature: τ > 0.

    Returns:
        A scalar in [0, 1]; float32, or float64 for float64 rows. Reverse-mode gradients only.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    ranked, everything = pairs.positive, pairs.positive | pairs.negative
    among_positives = 1 + soft_count_above(pairs.similarity, ranked, ranked, temperature)
    among_all = 1 + soft_count_above(pairs.similarity, ranked, everything, temperature)
    average_precision = row_mean_over(among_positives / among_all, ranked)
    return mean_over(1 - average_precision, jnp.any(ranked, axis=1))
