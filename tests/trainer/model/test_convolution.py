"""Every form of a convolution gives the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from trainer.model.convolution import (
    Convolution,
    convolve,
    max_pool,
)
from trainer.model.cpu_convolution import faster_as_product


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("side", [1, 2, 5, 12, 19])
@pytest.mark.parametrize(("in_dim", "out_dim"), [(3, 40), (8, 2), (256, 3)])
def test_values_and_gradients_are_those_of_plain_convolution(
    side: int, size: int, stride: int, in_dim: int, out_dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    inputs = jnp.asarray(random.normal(size=(2, side, side + 1, in_dim)), jnp.float32)
    kernel = jnp.asarray(random.normal(size=(size, size, in_dim, out_dim)), jnp.float32)
    outputs = {}
    for backend in ("cpu", "tpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        value, pull = jax.vjp(lambda x, k: convolve(x, k, stride), inputs, kernel)
        cotangent = np.random.default_rng(1).normal(size=value.shape).astype(np.float32)
        outputs[backend] = (value, *pull(jnp.asarray(cotangent)))
    for ours, plain in zip(outputs["cpu"], outputs["tpu"], strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("backend", ["gpu", "tpu"])
def test_other_backends_get_a_plain_convolution(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    inputs, kernel = jnp.zeros((1, 4, 4, 2)), jnp.zeros((1, 1, 2, 3))
    program = jax.make_jaxpr(lambda x, k: convolve(x, k, 1))(inputs, kernel)
    assert [equation.primitive.name for equation in program.eqns] == ["conv_general_dilated"]


def test_products_are_for_single_cells_small_maps_and_wide_ones() -> None:
    assert faster_as_product((1, 1, 64, 64), output_side=56)
    assert faster_as_product((3, 3, 64, 64), output_side=7)
    assert faster_as_product((3, 3, 256, 64), output_side=14)
    assert not faster_as_product((3, 3, 128, 128), output_side=8)


def test_gradients_keep_the_compute_type() -> None:
    inputs, kernel = (jnp.ones(shape, jnp.bfloat16) for shape in ((1, 9, 9, 4), (3, 3, 4, 4)))
    gradients = jax.grad(lambda x, k: convolve(x, k, 1).sum(), argnums=(0, 1))(inputs, kernel)
    assert [gradient.dtype for gradient in gradients] == [jnp.bfloat16] * 2
    assert float(gradients[1][1, 1, 0, 0]) == 81


def test_max_pooling_is_that_of_flax_and_ignores_what_is_outside() -> None:
    features = -jnp.asarray(np.random.default_rng(0).uniform(1, 2, (2, 7, 6, 3)), jnp.float32)
    expected = nnx.max_pool(features, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
    np.testing.assert_array_equal(max_pool(features, size=3, stride=2), expected)
    ours = jax.grad(lambda x: (max_pool(x, size=3, stride=2) ** 2).sum())(features)
    theirs = jax.grad(
        lambda x: (nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1))) ** 2).sum()
    )(features)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_new_kernels_have_the_deviation_of_he_in_and_out_of_jit() -> None:
    def make() -> Convolution:
        return Convolution(16, 32, size=3, stride=1, dtype="float32", rngs=nnx.Rngs(0))

    for layer in (make(), nnx.jit(make)()):
        np.testing.assert_allclose(layer.kernel[...].std(), np.sqrt(2 / (9 * 32)), rtol=0.05)
