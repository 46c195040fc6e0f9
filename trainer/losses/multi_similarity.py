"""The multi-similarity loss and its pair miner, as one function of static shape.

Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric
Learning, CVPR 2019. https://arxiv.org/abs/1904.06627
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Integer


@partial(jax.jit, static_argnames=("alpha", "beta", "base", "epsilon"))
def multi_similarity_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    epsilon: float | None = 0.1,
) -> Float[Array, ""]:
    """Average multi-similarity loss of a batch in which every row is an anchor.

    With S the cosine similarities, P(i) the other rows with anchor i's label and N(i) the rows
    with another label, the paper's multi-similarity loss (its L_MS) is

        L = 1/m Σᵢ { 1/α · log[1 + Σ_{p ∈ P(i)} exp(−α (Sᵢₚ − λ))]
                   + 1/β · log[1 + Σ_{n ∈ N(i)} exp(+β (Sᵢₙ − λ))] }

    and its pair mining first narrows both sets, each against the anchor's hardest opponent:

        keep n if Sᵢₙ > min_{p ∈ P(i)} Sᵢₚ − ε;    keep p if Sᵢₚ < max_{n ∈ N(i)} Sᵢₙ + ε

    so an anchor without positives keeps no negatives, and the reverse; where the classes stand
    further apart than ε nothing is kept, and the loss and its gradient are exactly 0.

    Conventions in which implementations differ:

    - λ is 0.5 (pytorch-metric-learning, the authors' code); the paper's text says 1. β is 50
      (the paper, pytorch-metric-learning); the authors' code says 40.
    - A row is kept from being its own positive by its index. The authors' code drops every
      positive with S ≥ 1 − 1e-5 instead, real near-duplicates among them.
    - m counts all anchors, those that the miner leaves empty included (as both codes do).
    - The miner is part of the loss here (as in the authors' code); pytorch-metric-learning mines
      only if it is given a `MultiSimilarityMiner`. `epsilon=None` leaves it out.

    Args:
        embeddings: `[batch, dim]`, any float type. Rows are L2-normalised here, and need not be
            before. An all-zero row has no direction: it stays zero, similarity 0 to every row,
            and receives a zero gradient.
        labels: `[batch]`, any integer type: rows with equal labels show the same product.
        alpha: α > 0, the softness of the positives' term.
        beta: β > 0, the softness of the negatives' term.
        base: λ, the similarity about which pairs are weighted, in [-1, 1].
        epsilon: ε, the miner's margin in cosine similarity; `None` uses every pair.

    Returns:
        A scalar ≥ 0; float32, also for bfloat16 or float16 embeddings (float64 stays float64).
        Its gradient is finite on every finite batch, whatever pairs it has; the miner's choice
        carries no gradient.

    Raises:
        ValueError: `embeddings` is not a matrix, or `labels` does not have one entry a row.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            "expected embeddings [batch, dim] and labels [batch]; "
            f"found {embeddings.shape} and {labels.shape}"
        )
    unit = _unit_rows(embeddings.astype(jnp.promote_types(embeddings.dtype, jnp.float32)))
    # Without HIGHEST, GPUs multiply in TF32 and TPUs in bfloat16, and exp(50·S) amplifies it.
    similarity = jnp.matmul(unit, unit.T, precision=lax.Precision.HIGHEST)

    same = labels[:, None] == labels[None, :]
    positive = same & ~jnp.eye(labels.size, dtype=bool)
    negative = ~same
    if epsilon is not None:
        positive, negative = _mine(similarity, positive, negative, epsilon)

    attraction = _log_one_plus_sum_exp(-alpha * (similarity - base), positive) / alpha
    repulsion = _log_one_plus_sum_exp(beta * (similarity - base), negative) / beta
    return jnp.mean(attraction + repulsion)


def _unit_rows(rows: Float[Array, "batch dim"]) -> Float[Array, "batch dim"]:
    """Rows divided by their length, for any length that the type can hold; zero rows stay."""
    # Squares overflow or vanish long before the values do, so rows are first brought to
    # magnitude 1. The direction does not depend on that factor: it needs no gradient.
    magnitude = lax.stop_gradient(jnp.max(jnp.abs(rows), axis=1, keepdims=True, initial=0.0))
    # NaN must stay NaN to be noticed, so the test asks for zero, not for what is above it.
    zero = magnitude < float(np.finfo(rows.dtype).tiny)
    scaled = rows / jnp.where(zero, 1.0, magnitude)
    squared_length = jnp.sum(scaled**2, axis=1, keepdims=True)
    return jnp.where(zero, 0.0, scaled / jnp.sqrt(jnp.where(zero, 1.0, squared_length)))


def _mine(
    similarity: Float[Array, "batch batch"],
    positive: Bool[Array, "batch batch"],
    negative: Bool[Array, "batch batch"],
    epsilon: float,
) -> tuple[Bool[Array, "batch batch"], Bool[Array, "batch batch"]]:
    """Narrow both masks to the pairs that the paper's pair mining keeps."""
    similarity = lax.stop_gradient(similarity)
    hardest_positive = jnp.min(similarity, axis=1, keepdims=True, initial=jnp.inf, where=positive)
    hardest_negative = jnp.max(similarity, axis=1, keepdims=True, initial=-jnp.inf, where=negative)
    # Written as "not easy": NaN compares false, and has to be kept to show in the loss.
    return (
        positive & ~(similarity - epsilon >= hardest_negative),
        negative & ~(similarity + epsilon <= hardest_positive),
    )


def _log_one_plus_sum_exp(
    exponents: Float[Array, "batch batch"], keep: Bool[Array, "batch batch"]
) -> Float[Array, " batch"]:
    """log(1 + Σ exp(exponents)) of each row's kept entries, with no overflow; 0 if none is."""
    exponents = jnp.where(keep, exponents, -jnp.inf)
    # The 1 is an exponent of 0, so the peak is never below it. The peak cancels out of the sum:
    # it needs no gradient.
    peak = lax.stop_gradient(jnp.max(exponents, axis=1, initial=0.0))
    total = jnp.sum(jnp.exp(exponents - peak[:, None]), axis=1)
    return peak + jnp.log1p(jnp.expm1(-peak) + total)
