"""What every loss begins with: similarities, and which of them are positive and negative pairs."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from trainer.losses.numerics import square_root
from trainer.losses.references import References


@dataclass(frozen=True)
class Pairs:
    """Each row of a batch, the anchors, against the others that it is compared with."""

    similarity: Float[Array, "batch others"]
    """Inner products of float32 or float64; cosines unless the loss takes its rows as they are."""
    positive: Bool[Array, "batch others"]
    """The other shows the anchor's product, and is another photo of it."""
    negative: Bool[Array, "batch others"]
    """The other shows another product. What is neither counts for nothing."""


def compare(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None,
    *,
    normalise: bool = True,
) -> Pairs:
    """Pair each row of the batch with the batch's rows, then with the references.

    A row is kept from being its own positive by its index: no other row is left out, however
    similar. References that are not valid are in no pair.

    Args:
        embeddings: `[batch, dim]`, any float type.
        labels: `[batch]`, any integer type.
        references: further rows, or `None`.
        normalise: compare by cosine; False takes inner products of the rows as they are.

    Raises:
        ValueError: the shapes do not belong together.
    """
    rows, further = _prepared(embeddings, labels, references, normalise=normalise)
    same = labels[:, None] == labels
    positive, negative = same & ~jnp.eye(labels.size, dtype=bool), ~same
    if references is None or further is None:
        return Pairs(_products(rows, rows), positive, negative)
    further_same = labels[:, None] == references.labels
    return Pairs(
        _products(rows, jnp.concatenate([rows, further])),
        jnp.concatenate([positive, further_same & references.valid], axis=1),
        jnp.concatenate([negative, ~further_same & references.valid], axis=1),
    )


def compare_with_proxies(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None,
) -> tuple[Pairs, References]:
    """Pair each row of the batch with the proxies alone, by cosine; also return the proxies.

    Raises:
        ValueError: there are no references, or the shapes do not belong together.
    """
    if references is None:
        raise ValueError(
            "expected references: the trainable proxies and the class of each; found None. "
            "trainer.losses.proxies.initial_proxies makes them"
        )
    rows, proxies = _prepared(embeddings, labels, references, normalise=True)
    assert proxies is not None  # noqa: S101 - references give rows
    same = labels[:, None] == references.labels
    valid = references.valid
    return Pairs(_products(rows, proxies), same & valid, ~same & valid), references


def euclidean(similarity: Float[Array, "batch others"]) -> Float[Array, "batch others"]:
    """Euclidean distances of unit rows from their cosines: D² = 2 − 2 S."""
    return square_root(2.0 - 2.0 * similarity)


def _prepared(
    embeddings: Float[Array, "batch dim"],
    labels: Integer[Array, " batch"],
    references: References | None,
    *,
    normalise: bool,
) -> tuple[Float[Array, "batch dim"], Float[Array, "references dim"] | None]:
    """Check shapes, widen to float32 at least, and bring rows to length 1 if asked to."""
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            "expected embeddings [batch, dim] and labels [batch]; "
            f"found {embeddings.shape} and {labels.shape}"
        )
    prepare = unit_rows if normalise else lambda rows: rows
    dtype = jnp.promote_types(embeddings.dtype, jnp.float32)
    if references is None:
        return prepare(embeddings.astype(dtype)), None
    further, count = references.embeddings, (references.embeddings.shape[0],)
    if further.shape[1:] != embeddings.shape[1:] or not (
        references.labels.shape == references.valid.shape == count
    ):
        raise ValueError(
            f"expected references [n, {embeddings.shape[1]}] with labels [n] and valid [n]; found "
            f"{further.shape}, {references.labels.shape} and {references.valid.shape}"
        )
    dtype = jnp.promote_types(dtype, further.dtype)
    # Whatever an unused slot holds must not reach the gradient: 0 · NaN is NaN.
    further = jnp.where(references.valid[:, None], further.astype(dtype), 0.0)
    return prepare(embeddings.astype(dtype)), prepare(further)


def _products(
    rows: Float[Array, "batch dim"], others: Float[Array, "others dim"]
) -> Float[Array, "batch others"]:
    # Without HIGHEST, GPUs multiply in TF32 and TPUs in bfloat16, and exp(50·S) amplifies it.
    return jnp.matmul(rows, others.T, precision=lax.Precision.HIGHEST)


def unit_rows(rows: Float[Array, "rows dim"]) -> Float[Array, "rows dim"]:
    """Rows divided by their length, for any length that the type can hold; zero rows stay."""
    # Squares overflow or vanish long before the values do, so rows are first brought to
    # magnitude 1. The direction does not depend on that factor: it needs no gradient.
    magnitude = lax.stop_gradient(jnp.max(jnp.abs(rows), axis=1, keepdims=True, initial=0.0))
    # NaN must stay NaN to be noticed, so the test asks for zero, not for what is above it.
    zero = magnitude < float(np.finfo(rows.dtype).tiny)
    scaled = rows / jnp.where(zero, 1.0, magnitude)
    squared_length = jnp.sum(scaled**2, axis=1, keepdims=True)
    return jnp.where(zero, 0.0, scaled / jnp.sqrt(jnp.where(zero, 1.0, squared_length)))
