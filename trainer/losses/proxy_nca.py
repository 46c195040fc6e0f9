"""ProxyNCA++.

Teh, DeVries, Taylor: ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component
Analysis, ECCV 2020. https://arxiv.org/abs/2004.01113
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import log_sum_exp, mean_over
from trainer.losses.pairs import compare_with_proxies
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("temperature",))
def proxy_nca_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    temperature: float = 1 / 9,
) -> Float[Array, ""]:
    """Each row's probability to be assigned to the proxy of its class.

    With d the squared Euclidean distance of unit vectors, P₊(i) the proxies of row i's class and
    P all of them, the paper's loss with its low temperature:

        L = mean_i −log { Σ_{p ∈ P₊(i)} exp(−d(xᵢ, p)/T) / Σ_{a ∈ P} exp(−d(xᵢ, a)/T) }

    Conventions in which implementations differ:

    - The denominator has the row's own proxy (ProxyNCA++, pytorch-metric-learning); the first
      ProxyNCA leaves it out.
    - T is 1/9 (the paper; its code scales either vector by 3); pytorch-metric-learning's
      `softmax_scale` is 1/T, 1 by default.
    - The mean is over rows whose class has a proxy.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: the proxies, which are normalised here, and the class of each.
        temperature: T > 0.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: there are no references, or the shapes do not belong together.
    """
    pairs, _ = compare_with_proxies(embeddings, labels, references)
    scaled = -(2.0 - 2.0 * pairs.similarity) / temperature
    everything = log_sum_exp(scaled, pairs.positive | pairs.negative)
    own = log_sum_exp(scaled, pairs.positive)
    return mean_over(everything - own, jnp.any(pairs.positive, axis=1))
