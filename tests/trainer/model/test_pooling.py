"""Pooling: the average, and the generalised mean that contains it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxtyping import Array, Float

from trainer.model.config import Pooling
from trainer.model.pooling import AveragePooling, GeneralizedMeanPooling, make_pooling


@pytest.fixture
def features() -> Float[Array, "2 3 4 5"]:
    return jnp.asarray(np.random.default_rng(0).uniform(0, 2, (2, 3, 4, 5)), jnp.float32)


def test_gem_of_power_one_is_the_average(features: Float[Array, "2 3 4 5"]) -> None:
    gem = GeneralizedMeanPooling()
    gem.power[...] = jnp.asarray(1.0)
    np.testing.assert_allclose(gem(features), AveragePooling()(features), rtol=1e-5)


def test_gem_of_a_great_power_is_the_maximum(features: Float[Array, "2 3 4 5"]) -> None:
    gem = GeneralizedMeanPooling()
    gem.power[...] = jnp.asarray(60.0)
    np.testing.assert_allclose(gem(features), features.max((1, 2)), rtol=0.06)


def test_gem_learns_its_power_even_where_nothing_is_active() -> None:
    features = jnp.zeros((1, 2, 2, 3)).at[0, 0, 0, 0].set(1.5)
    loss = lambda gem, x: gem(x).sum()  # noqa: E731
    of_gem, of_features = nnx.grad(loss, argnums=(0, 1))(GeneralizedMeanPooling(), features)
    assert of_gem["power"][...] > 0
    assert jnp.isfinite(of_features).all()


@pytest.mark.parametrize("name", ["average", "gem"])
def test_pooling_answers_in_float32(name: Pooling, features: Float[Array, "2 3 4 5"]) -> None:
    pooling = make_pooling(name)
    pooled = jax.jit(lambda x: pooling(x))(features.astype(jnp.bfloat16))
    assert pooled.dtype == jnp.float32
    np.testing.assert_allclose(pooled, pooling(features), rtol=0.01)
