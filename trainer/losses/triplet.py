"""Triplet losses, each with its way to choose triplets from a batch.

Batch-hard: Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person Re-Identification,
2017. https://arxiv.org/abs/1703.07737
Semi-hard: Schroff, Kalenichenko, Philbin: FaceNet, CVPR 2015. https://arxiv.org/abs/1503.03832
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.miners import hardest_negative, hardest_positive, next_negative
from trainer.losses.numerics import mean_over
from trainer.losses.pairs import compare, euclidean
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("margin",))
def triplet_batch_hard_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    margin: float | None = 0.2,
) -> Float[Array, ""]:
    """Each anchor with its farthest positive and its nearest negative.

    With D the Euclidean distance of unit rows (not squared), the paper's L_BH:

        L = mean_i max(0, m + max_{p ∈ P(i)} D(i, p) − min_{n ∈ N(i)} D(i, n))

    and with `margin=None` its soft margin, log(1 + exp(·)) of the same difference without m.

    Conventions in which implementations differ:

    - The mean is over all anchors that have a positive and a negative, satisfied ones included
      (the paper); pytorch-metric-learning averages the triplets that cost something.
    - Rows are L2-normalised, as retrieval compares them; the paper's were not.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: further rows among which positives and negatives are sought.
        margin: m ≥ 0, or `None` for the soft margin.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    has_both = jnp.any(pairs.positive, axis=1) & jnp.any(pairs.negative, axis=1)

    def distance(similarity: Float[Array, "batch 1"]) -> Float[Array, " batch"]:
        return euclidean(jnp.where(has_both[:, None], similarity, 0.0))[:, 0]

    difference = distance(hardest_positive(pairs)) - distance(hardest_negative(pairs))
    if margin is None:
        return mean_over(jax.nn.softplus(difference), has_both)
    return mean_over(jnp.maximum(margin + difference, 0.0), has_both)


@partial(jax.jit, static_argnames=("margin",))
def triplet_semi_hard_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    margin: float = 0.2,
) -> Float[Array, ""]:
    """Each positive pair with the nearest negative that is farther than the positive.

    With D the Euclidean distance of unit rows, the paper's loss over triplets is

        L = mean_{(i,p)} [D(i, p)² − D(i, n)² + α],    n = argmin { D(i, n) : D(i, n) > D(i, p) }

    over all positive pairs that have such a negative within the margin, D(i, n)² < D(i, p)² + α.

    Conventions in which implementations differ:

    - Of several semi-hard negatives the hardest is taken; pytorch-metric-learning's miner takes
      all of them.
    - A pair without one is left out; TensorFlow Addons falls back to the farthest negative.
    - Distances are squared (the paper); pytorch-metric-learning's are not by default.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here, as in the paper.
        labels: `[batch]`, any integer type.
        references: further rows among which positives and negatives are sought.
        margin: α > 0, in squared distance.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    negative, exists = next_negative(pairs)
    cost = 2.0 * (negative - pairs.similarity) + margin
    # Written as "not satisfied": NaN compares false, and has to be kept to show in the loss.
    return mean_over(cost, pairs.positive & exists & ~(cost <= 0))
