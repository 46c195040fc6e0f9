"""The multi-similarity loss and its pair miner, as one function of static shape.

Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric
Learning, CVPR 2019. https://arxiv.org/abs/1904.06627
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.miners import near_an_opponent
from trainer.losses.numerics import log_one_plus_sum_exp
from trainer.losses.pairs import compare
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("alpha", "beta", "base", "epsilon"))
def multi_similarity_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
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
        references: further rows that anchors are compared with; they are in P and N, and are no
            anchors themselves.
        alpha: α > 0, the softness of the positives' term.
        beta: β > 0, the softness of the negatives' term.
        base: λ, the similarity about which pairs are weighted, in [-1, 1].
        epsilon: ε, the miner's margin in cosine similarity; `None` uses every pair.

    Returns:
        A scalar ≥ 0; float32, also for bfloat16 or float16 embeddings (float64 stays float64).
        Its gradient is finite on every finite batch, whatever pairs it has; the miner's choice
        carries no gradient.

    Raises:
        ValueError: `embeddings` is not a matrix, `labels` does not have one entry a row, or the
            references do not fit.
    """
    pairs = compare(embeddings, labels, references)
    if epsilon is not None:
        pairs = near_an_opponent(pairs, epsilon)
    distance = pairs.similarity - base
    attraction = log_one_plus_sum_exp(-alpha * distance, pairs.positive) / alpha
    repulsion = log_one_plus_sum_exp(beta * distance, pairs.negative) / beta
    return jnp.mean(attraction + repulsion)
