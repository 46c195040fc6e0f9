"""NT-Xent, the normalised temperature-scaled cross entropy.

Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual
Representations (SimCLR), ICML 2020. https://arxiv.org/abs/2002.05709
"""

from functools import partial

import jax
from jaxtyping import Array, Float, Integer

from trainer.losses.numerics import mean_over
from trainer.losses.pairs import compare
from trainer.losses.references import References
from trainer.losses.softmax import one_positive_against_negatives


@partial(jax.jit, static_argnames=("temperature",))
def nt_xent_loss(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None = None,
    *,
    temperature: float = 0.1,
) -> Float[Array, ""]:
    """Each positive pair against all negatives of its anchor, by cosine.

    With S the cosine similarities, the paper's equation 1, averaged over all ordered positive
    pairs:

        L = mean_{(i,p)} −log { exp(Sᵢₚ/τ) / [exp(Sᵢₚ/τ) + Σ_{n ∈ N(i)} exp(Sᵢₙ/τ)] }

    Conventions in which implementations differ:

    - The paper has two views of each image, so its denominator holds one positive. With more rows
      a class, an anchor's other positives are left out of the denominator (as in
      pytorch-metric-learning); `supcon_loss` has them in.
    - τ is 0.1 (the paper's best at ImageNet); pytorch-metric-learning's default is 0.07.

    Args:
        embeddings: `[batch, dim]`, any float type; normalised here.
        labels: `[batch]`, any integer type: views of one image, or photos of one product.
        references: further positives and negatives.
        temperature: τ > 0.

    Returns:
        A scalar ≥ 0; float32, or float64 for float64 rows.

    Raises:
        ValueError: the shapes do not belong together.
    """
    pairs = compare(embeddings, labels, references)
    return mean_over(one_positive_against_negatives(pairs, temperature), pairs.positive)
