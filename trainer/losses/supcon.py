"""The supervised contrastive loss.

Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan: Supervised Contrastive
Learning, NeurIPS 2020. https://arxiv.org/abs/2004.11362
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import log_sum_exp, mean_over, row_mean_over
from trainer.losses.pairs import compare
from trainer.losses.references import References


@partial(jax.jit, static_argnames=("temperature",))
def supcon_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    temperature: float = 0.1,
) -> Float[Array, ""]:
    """Each anchor's positives against everything that the anchor is compared with.

    With S the cosine similarities and A(i) = P(i) ∪ N(i), the paper's equation 2 (L_out):

        L = mean_i −1/|P(i)| Σ_{p ∈ P(i)} log { exp(Sᵢₚ/τ) / Σ_{a ∈ A(i)} exp(Sᵢₐ/τ) }

    Conventions in which implementations differ:

    - The mean is over anchors that have a positive.
    - The authors' code multiplies by τ and divides by a base temperature of 0.07; this does not.
    - pytorch-metric-learning gives 0 for a batch without any negative; here its positives still
      share the softmax, as in the equation.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type.
        references: further positives and negatives.
        temperature: τ > 0; the paper's is 0.1, its code's 0.07.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    scaled = pairs.similarity / temperature
    everything = log_sum_exp(scaled, pairs.positive | pairs.negative)
    loss = row_mean_over(everything[:, None] - scaled, pairs.positive)
    return mean_over(loss, jnp.any(pairs.positive, axis=1))
