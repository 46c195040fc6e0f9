"""What every caller of the embedder may rely on."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder, unit_rows
from trainer.model.parameters import from_flat, to_flat

Make = Callable[[ModelConfig], Embedder]
CONFIG = ModelConfig(architecture="resnet18", width=8, embedding_dim=16)


@pytest.fixture(scope="module")
def pixels() -> jax.Array:
    return jax.random.randint(jax.random.key(0), (4, 64, 64, 3), 0, 256, jnp.uint8)


@nnx.jit
def embed(model: Embedder, pixels: jax.Array) -> jax.Array:
    return model(pixels)


@pytest.mark.parametrize("pooling", ["average", "gem"])
@pytest.mark.parametrize("dim", [None, 16])
def test_embeddings_are_float32_and_of_unit_length(
    dim: int | None, pooling: str, random_model: Make, pixels: jax.Array
) -> None:
    config = ModelConfig.from_dict(CONFIG.to_dict() | {"embedding_dim": dim, "pooling": pooling})
    vectors = embed(random_model(config), pixels)
    assert vectors.dtype == jnp.float32
    assert vectors.shape == (4, config.output_dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_photo_has_one_embedding_whatever_is_in_its_batch(
    random_model: Make, pixels: jax.Array
) -> None:
    model = random_model(CONFIG)
    together = embed(model, pixels)
    alone = np.concatenate([embed(model, pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_bfloat16_keeps_the_direction(random_model: Make, pixels: jax.Array) -> None:
    model = random_model(CONFIG)
    half = from_flat(replace(CONFIG, dtype="bfloat16"), to_flat(model))
    vectors = embed(half, pixels)
    assert vectors.dtype == jnp.float32
    assert all(value.dtype == jnp.float32 for value in to_flat(half).values())
    assert (embed(model, pixels) * vectors).sum(axis=1).min() > 0.999


def test_a_row_of_zeros_stays_and_has_a_finite_gradient() -> None:
    vectors = jnp.asarray([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(unit_rows(vectors), [[0, 0], [0.6, 0.8]], rtol=1e-6)
    assert jnp.isfinite(jax.grad(lambda x: unit_rows(x).sum())(vectors)).all()


def test_a_new_model_differs_by_seed_and_is_the_same_by_the_same_seed() -> None:
    kernels = [
        Embedder(replace(CONFIG, width=2), rngs=nnx.Rngs(seed)).head.kernel[...]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])
