"""Every form of a convolution gives the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from trainer.model import convolution
from trainer.model.convolution import Convolution, faster_as_dot, max_pool, patches


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_patches_and_windows_are_one_convolution(
    side: int, size: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(2, side, side + 1, 3)), jnp.float32)
    layer = Convolution(3, 4, size=size, stride=stride, dtype="float32", rngs=nnx.Rngs(0))
    outputs = []
    for as_dot in (True, False):
        monkeypatch.setattr(convolution, "faster_as_dot", lambda *_, as_dot=as_dot: as_dot)
        outputs.append(layer(inputs))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)


def test_the_choice_of_form_is_the_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert faster_as_dot(size=1, output_side=14)
    assert faster_as_dot(size=3, output_side=2)
    assert not faster_as_dot(size=3, output_side=3)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not faster_as_dot(size=1, output_side=14)


def test_a_patch_lists_rows_then_columns_then_channels() -> None:
    image = jnp.arange(18, dtype=jnp.float32).reshape(1, 3, 3, 2)
    centre = patches(image, 3, 1)[0, 1, 1]
    np.testing.assert_array_equal(centre, np.arange(18))
    corner = patches(image, 3, 1)[0, 0, 0].reshape(3, 3, 2)
    np.testing.assert_array_equal(corner[0], 0)
    np.testing.assert_array_equal(corner[1:, 1:], image[0, :2, :2])


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
