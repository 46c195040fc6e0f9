"""The contrastive loss.

Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006.
http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import mean_over
from trainer.losses.pairs import compare, euclidean
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("margin", "positive_margin", "power"))
def contrastive_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    margin: float = 1.0,
    positive_margin: float = 0.0,
    power: int = 2,
) -> Float[Array, ""]:
    """Pull positives together, push negatives out of a margin.

    With D the Euclidean distance of a pair's unit rows, D² = 2 − 2 S, the paper sums

        positive pairs: ½ D²;    negative pairs: ½ max(0, m − D)²

    Here this is, of all pairs that cost something (the others are satisfied, and have no gradient),

        L = mean_{(i,p)} 1/q · max(0, D − m₊)^q  +  mean_{(i,n)} 1/q · max(0, m − D)^q

    Conventions in which implementations differ:

    - The paper draws as many positive as negative pairs; a batch has far more negatives. So either
      kind is averaged for itself, over its pairs that cost something (pytorch-metric-learning;
      its `power` is 1). The cross-batch memory's paper sums over an anchor's pairs.
    - Rows are L2-normalised, as retrieval compares them; the paper's were not.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: further rows that anchors are compared with.
        margin: m, the distance beyond which negatives cost nothing, in [0, 2].
        positive_margin: m₊, the distance within which positives cost nothing; the paper's is 0.
        power: q, 1 or 2.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    distance = euclidean(pairs.similarity)

    def cost(excess: Float[Array, "batch others"]) -> Float[Array, "batch others"]:
        return jnp.maximum(excess, 0.0) ** power / power

    pull, push = distance - positive_margin, margin - distance
    # Written as "not satisfied": NaN compares false, and has to be kept to show in the loss.
    return mean_over(cost(pull), pairs.positive & ~(pull <= 0)) + mean_over(
        cost(push), pairs.negative & ~(push <= 0)
    )
