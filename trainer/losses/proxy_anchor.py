"""The proxy-anchor loss.

Kim, Kim, Cho, Kwak: Proxy Anchor Loss for Deep Metric Learning, CVPR 2020.
https://arxiv.org/abs/2003.13911
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import log_one_plus_sum_exp
from trainer.losses.pairs import compare_with_proxies
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("alpha", "delta"))
def proxy_anchor_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    alpha: float = 32.0,
    delta: float = 0.1,
) -> Float[Array, ""]:
    """Each proxy as an anchor, against the batch's rows of its class and of the others.

    With S(x, p) the cosine of row x and proxy p, X₊(p) the batch's rows of p's class and X₋(p) its
    other rows, P the proxies and P₊ those with a row of their class in the batch, the paper's
    equation 4:

        L = 1/|P₊| Σ_{p ∈ P₊} log[1 + Σ_{x ∈ X₊(p)} exp(−α (S(x, p) − δ))]
          + 1/|P|  Σ_{p ∈ P}  log[1 + Σ_{x ∈ X₋(p)} exp(+α (S(x, p) + δ))]

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: the proxies, which are normalised here, and the class of each.
        alpha: α > 0, the scale.
        delta: δ ≥ 0, the margin in cosine.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: there are no references, or the shapes do not belong together.
    """
    pairs, proxies = compare_with_proxies(embeddings, labels, references)
    similarity, positive, negative = pairs.similarity.T, pairs.positive.T, pairs.negative.T
    attraction = log_one_plus_sum_exp(-alpha * (similarity - delta), positive)
    repulsion = log_one_plus_sum_exp(alpha * (similarity + delta), negative)
    with_positives = jnp.sum(jnp.any(positive, axis=1))
    return jnp.sum(attraction) / jnp.maximum(with_positives, 1) + jnp.sum(repulsion) / jnp.maximum(
        jnp.sum(proxies.valid), 1
    )
