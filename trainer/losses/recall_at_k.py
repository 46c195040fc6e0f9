"""The recall@k surrogate loss.

Patel, Tolias, Matas: Recall@k Surrogate Loss with Large Batches and Similarity Mixup, CVPR 2022.
https://arxiv.org/abs/2108.11179
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import mean_over
from trainer.losses.pairs import compare
from trainer.losses.references import References
from trainer.losses.soft_rank import soft_count_above


@partial(jax.jit, static_argnames=("largest_k", "recall_temperature", "rank_temperature"))
def recall_at_k_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    largest_k: int = 16,
    recall_temperature: float = 1.0,
    rank_temperature: float = 0.01,
) -> Float[Array, ""]:
    """1 − recall@k of each anchor as a query, averaged over k = 1, 2, 4, …; steps are sigmoids.

    With S the cosine similarities, and r the rank, the paper's surrogate is

        L = mean_k mean_i (1 − Rₖ(i))

        Rₖ(i) = 1/min(k, |P(i)|) Σ_{p ∈ P(i)} σ((k − r(i, p)) / τ₁)

        r(i, p) = 1 + Σ_{z ∈ P(i) ∪ N(i), z ≠ p} σ((Sᵢ_z − Sᵢₚ) / τ₂)

    Conventions in which implementations differ:

    - Recall is divided by min(k, |P|), what k places can hold (the authors' code), so that a
      perfect ranking would have 1 with true steps.
    - An anchor is not ranked among its own results. In the authors' code it is, one place before
      all others, so its k is one less than ours.
    - With τ₁ = 1 a perfect ranking does not have a loss of 0: at k = r the sigmoid is ½.
    - The paper's similarity mixup is not part of this.
    - The mean is over anchors that have a positive.

    Time grows with batch × others × the most positives of an anchor, memory with batch × others.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: further rows that are ranked with the batch's.
        largest_k: the powers of two from 1 to this are the k; 16 gives the paper's.
        recall_temperature: τ₁ > 0.
        rank_temperature: τ₂ > 0.

    Returns:
        A scalar; float32, or float64 for float64 rows. Reverse-mode gradients only.

    Raises:
        ValueError: the shapes do not belong together, or `largest_k` is below 1.
    """
    if largest_k < 1:
        raise ValueError(f"expected largest_k of at least 1; found {largest_k}")
    pairs = compare(embeddings, labels, references)
    ranked, everything = pairs.positive, pairs.positive | pairs.negative
    rank = 1 + soft_count_above(pairs.similarity, ranked, everything, rank_temperature)
    positives = jnp.sum(ranked, axis=1)

    def recall_at(k: int) -> Float[Array, " batch"]:
        found = jax.nn.sigmoid((k - rank) / recall_temperature)
        return jnp.sum(found, axis=1, where=ranked) / jnp.clip(positives, 1, k)

    ks = [2**power for power in range(largest_k.bit_length())]
    recall = sum((recall_at(k) for k in ks), start=jnp.zeros_like(rank[:, 0])) / len(ks)
    return mean_over(1 - recall, positives > 0)
