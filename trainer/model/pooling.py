"""A feature map becomes one vector."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from trainer.model.config import Pooling

GEM_INITIAL_POWER = 3.0
GEM_FLOOR = 1e-6
"""Activations are raised to this before the power, whose gradient at zero is infinite."""


class AveragePooling(nnx.Module):
    """The mean over all positions."""

    def __call__(self, features: Float[Array, "batch y x dim"]) -> Float[Array, "batch dim"]:
        """Non-negative features in any float type -> float32."""
        return jnp.mean(features.astype(jnp.float32), axis=(1, 2))


class GeneralizedMeanPooling(nnx.Module):
    """GeM: (mean xᵖ)^(1/p) with one learned p (Radenović et al., TPAMI 2018, equation 3).

    p = 1 is the average; p → ∞ the maximum.
    """

    def __init__(self) -> None:
        self.power = nnx.Param(jnp.asarray(GEM_INITIAL_POWER, jnp.float32))

    def __call__(self, features: Float[Array, "batch y x dim"]) -> Float[Array, "batch dim"]:
        """Non-negative features in any float type -> float32."""
        power = self.power[...]
        raised = jnp.maximum(features.astype(jnp.float32), GEM_FLOOR) ** power
        return jnp.mean(raised, axis=(1, 2)) ** (1 / power)


def make_pooling(name: Pooling) -> AveragePooling | GeneralizedMeanPooling:
    """The pooling that a configuration names."""
    return GeneralizedMeanPooling() if name == "gem" else AveragePooling()
