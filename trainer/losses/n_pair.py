"""The multi-class N-pair loss.

Sohn: Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NeurIPS 2016.
https://papers.nips.cc/paper/6200-improved-deep-metric-learning-with-multi-class-n-pair-loss-objective
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import mean_over
from trainer.losses.pairs import compare
from trainer.losses.references import References
from trainer.losses.softmax import one_positive_against_negatives


@partial(jax.jit, static_argnames=("temperature", "regularisation"))
def n_pair_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    temperature: float = 1.0,
    regularisation: float = 0.0,
) -> Float[Array, ""]:
    """Each positive pair against all negatives of its anchor, by inner product.

    With f the rows **as they are, not normalised** (the paper bounds their length by a penalty
    instead), the paper's multi-class N-pair loss is

        L = mean_{(i,p)} log[1 + Σ_{n ∈ N(i)} exp((fᵢ·fₙ − fᵢ·fₚ) / τ)] + λ · mean_i ‖fᵢ‖²

    Conventions in which implementations differ:

    - The paper's batch has one pair a class, and its negatives are the other classes' positives.
      Here every ordered pair of a class takes part, and every row of another class is a negative.
      Given the anchors one by one, with the positives as references, it is the paper's loss.
    - Unit rows want a τ well below the paper's 1, as in `nt_xent_loss`.

    Args:
        embeddings: `[batch, dim]`, any float type; not normalised.
        labels: `[batch]`, any integer type.
        references: further positives and negatives.
        temperature: τ > 0.
        regularisation: λ ≥ 0, the weight of the rows' squared length; the paper gives no value.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references, normalise=False)
    loss = one_positive_against_negatives(pairs, temperature)
    squares = embeddings.astype(loss.dtype) ** 2
    penalty = regularisation * jnp.mean(jnp.sum(squares, axis=1)) if regularisation else 0.0
    return mean_over(loss, pairs.positive) + penalty
