"""Photo pixels -> unit vectors: the model that is trained, evaluated and exported."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from trainer.model.config import ModelConfig
from trainer.model.pooling import make_pooling
from trainer.model.resnet import ResNet

NORM_FLOOR = 1e-12
"""Least length divided by: an all-zero output stays zero instead of becoming NaN."""


class Embedder(ResNet):
    """A ResNet with pooling and, unless `embedding_dim` is None or 0, a linear head."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs=rngs)
        self.pooling = make_pooling(config.pooling)
        self.head = (
            nnx.Linear(config.feature_dim, config.embedding_dim, rngs=rngs)
            if config.embedding_dim
            else None
        )

    def project(
        self, pixels: UInt8[Array, "batch height width 3"], *, frozen_stages: int = 0
    ) -> Float[Array, "batch dim"]:
        """The output before normalisation, float32: logits, where the head is a classifier."""
        pooled = self.pooling(self.feature_map(pixels, frozen_stages=frozen_stages))
        return pooled if self.head is None else self.head(pooled)

    def __call__(
        self, pixels: UInt8[Array, "batch height width 3"], *, frozen_stages: int = 0
    ) -> Float[Array, "batch dim"]:
        """RGB pixels -> float32 rows of length 1; `frozen_stages` as for `feature_map`."""
        return unit_rows(self.project(pixels, frozen_stages=frozen_stages))


def unit_rows(vectors: Float[Array, "batch dim"]) -> Float[Array, "batch dim"]:
    """Rows divided by their length; a row of zeros stays as it is, its gradient finite."""
    # The root of a sum of squares has no gradient at zero, so the floor goes under the root.
    square = jnp.sum(vectors**2, axis=-1, keepdims=True)
    return vectors / jnp.sqrt(jnp.maximum(square, NORM_FLOOR**2))
