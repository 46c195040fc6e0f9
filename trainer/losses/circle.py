"""The circle loss.

Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei: Circle Loss: A Unified Perspective of Pair Similarity
Optimization, CVPR 2020. https://arxiv.org/abs/2002.10857
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import log_sum_exp, mean_over
from trainer.losses.pairs import compare
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("margin", "gamma"))
def circle_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    margin: float = 0.4,
    gamma: float = 80.0,
) -> Float[Array, ""]:
    """Pairs weighted by how far they are from their optimum.

    With S the cosine similarities, the paper's loss, its margins Oₚ = 1 + m, Oₙ = −m, Δₚ = 1 − m
    and Δₙ = m written out:

        L = mean_i log[1 + Σ_{n ∈ N(i)} exp(γ αₙ (Sᵢₙ − m)) · Σ_{p ∈ P(i)} exp(−γ αₚ (Sᵢₚ − 1 + m))]

        αₙ = max(0, Sᵢₙ + m),    αₚ = max(0, 1 + m − Sᵢₚ)

    Conventions in which implementations differ:

    - The weights α carry no gradient (as in pytorch-metric-learning and the common
      reimplementations).
    - m is 0.4 and γ 80, the paper's for fine-grained retrieval; faces have 0.25 and 256.
    - The mean is over anchors that have both a positive and a negative; pytorch-metric-learning
      leaves out those whose loss rounds to 0 as well.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: further positives and negatives.
        margin: m, the relaxation, in (0, 1).
        gamma: γ > 0, the scale.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    similarity = pairs.similarity
    fixed = lax.stop_gradient(similarity)
    negative_weight = jnp.maximum(fixed + margin, 0.0)
    positive_weight = jnp.maximum(1 + margin - fixed, 0.0)
    repulsion = log_sum_exp(gamma * negative_weight * (similarity - margin), pairs.negative)
    attraction = log_sum_exp(-gamma * positive_weight * (similarity - 1 + margin), pairs.positive)
    has_both = jnp.any(pairs.positive, axis=1) & jnp.any(pairs.negative, axis=1)
    return mean_over(jax.nn.softplus(repulsion + attraction), has_both)
