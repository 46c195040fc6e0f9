"""ArcFace, with sub-centres.

Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face Recognition, CVPR
2019. https://arxiv.org/abs/1801.07698
Deng, Guo, Liu, Gong, Zafeiriou: Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy
Web Faces, ECCV 2020.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from trainer.losses.numerics import log_sum_exp, mean_over, square_root
from trainer.losses.pairs import Pairs, compare_with_proxies
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("margin", "scale"))
def arcface_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    margin: float = 0.5,
    scale: float = 64.0,
) -> Float[Array, ""]:
    """Cross entropy over the classes' centres, the own one moved away by an angle.

    With θᵢ_c the angle of row i to class c, the smallest to any of the class's sub-centres, and yᵢ
    the row's class, ArcFace's equation 3:

        L = mean_i −log { E / [E + Σ_{c ≠ y} exp(s cos θᵢ_c)] },    E = exp(s cos(θᵢ_y + m))

    Conventions in which implementations differ:

    - Beyond θ = π − m, where cos(θ + m) would rise again, it is cos θ − m sin m (the authors' code,
      pytorch-metric-learning).
    - m is in radians; pytorch-metric-learning takes degrees, 28.6 by default.
    - The mean is over rows whose class has a centre.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: the centres, which are normalised here, and the class of each; several rows of
            one class, in any order, are its sub-centres.
        margin: m, in radians, in [0, π].
        scale: s > 0.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: there are no references, or the shapes do not belong together.
    """
    pairs, centres = compare_with_proxies(embeddings, labels, references)
    nearest = _nearest_of_each_class(pairs, centres)
    cosine = pairs.similarity
    sine = square_root(1.0 - cosine**2)
    moved = jnp.where(
        cosine < math.cos(math.pi - margin),
        cosine - margin * math.sin(margin),
        cosine * math.cos(margin) - sine * math.sin(margin),
    )
    own = pairs.positive & nearest
    logits = scale * jnp.where(own, moved, cosine)
    everything = log_sum_exp(logits, nearest)
    return mean_over(everything - jnp.sum(logits, axis=1, where=own), jnp.any(own, axis=1))


def _nearest_of_each_class(pairs: Pairs, centres: References) -> Bool[Array, "batch centres"]:
    """Mark, for each row, one centre of each class: the nearest, the first of equally near ones."""
    count = centres.labels.size
    _, classes = jnp.unique(centres.labels, return_inverse=True, size=count)
    valid = (pairs.positive | pairs.negative).T
    cosine = jnp.where(valid, lax.stop_gradient(pairs.similarity).T, -jnp.inf)
    best = jax.ops.segment_max(cosine, classes, count)[classes]
    index = jnp.arange(count)[:, None]
    # Written as "not below": NaN compares false, and has to be kept to show in the loss.
    candidates = jnp.where(valid & ~(cosine < best), index, count)
    first = jax.ops.segment_min(candidates, classes, count)[classes]
    return (candidates == first).T & valid.T
