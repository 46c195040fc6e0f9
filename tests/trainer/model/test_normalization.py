"""BatchNorm is Flax's, in value, statistics and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxtyping import Array

from trainer.model.normalization import BatchNorm, normalise


def features(*shape: int, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    return jnp.asarray(random.normal(2, 3, shape), jnp.float32)


def results(kind: type[nnx.BatchNorm], inputs: Array, *, training: bool) -> list[Array]:
    """Output, statistics after it, and gradients of everything."""
    layer = kind(inputs.shape[-1], momentum=0.9, epsilon=1e-3, dtype=jnp.float32, rngs=nnx.Rngs(0))
    layer.scale[...] = 1 + features(inputs.shape[-1], seed=1)
    layer.bias[...] = features(inputs.shape[-1], seed=2)
    (layer.train if training else layer.eval)()
    graph, parameters, rest = nnx.split(layer, nnx.Param, ...)

    def run(parameters: nnx.State, inputs: Array) -> tuple[Array, nnx.State]:
        layer = nnx.merge(graph, parameters, rest, copy=True)
        return layer(inputs), nnx.state(layer, nnx.BatchStat)

    output, pull, statistics = jax.vjp(run, parameters, inputs, has_aux=True)
    return jax.tree.leaves((output, statistics, pull(features(*output.shape, seed=3))))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 5, 6, 7), (2, 1, 1, 3), (1, 1, 1, 2)])
def test_output_statistics_and_gradients_are_those_of_flax(
    shape: tuple[int, ...], training: bool
) -> None:
    inputs = features(*shape)
    ours = results(BatchNorm, inputs, training=training)
    theirs = results(nnx.BatchNorm, inputs, training=training)
    assert len(ours) == len(theirs) == 6
    for mine, other in zip(ours, theirs, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-5 * scale)


def test_gradient_is_that_of_finite_differences() -> None:
    arguments = features(3, 2, 2, 4), features(4, seed=1), features(4, seed=2)
    weights = features(3, 2, 2, 4, seed=3)

    def weighted(*inputs: Array) -> Array:
        return jnp.sum(weights * normalise(*inputs, 1e-3)[0])

    gradients = jax.grad(weighted, argnums=(0, 1, 2))(*arguments)
    for which, gradient in enumerate(gradients):
        direction = features(*gradient.shape, seed=4)
        ends = [
            weighted(
                *arguments[:which], arguments[which] + step * direction, *arguments[which + 1 :]
            )
            for step in (-1e-2, 1e-2)
        ]
        np.testing.assert_allclose(
            (ends[1] - ends[0]) / 2e-2, jnp.sum(gradient * direction), rtol=1e-2, atol=0.05
        )


def test_constant_channels_give_the_bias_and_a_finite_gradient() -> None:
    inputs = jnp.full((2, 3, 3, 1), 7.0)
    output, pull = jax.vjp(lambda x: normalise(x, jnp.ones(1), jnp.full(1, 0.5), 1e-5)[0], inputs)
    np.testing.assert_allclose(output, 0.5, atol=1e-2)
    assert np.isfinite(pull(jnp.ones_like(output))[0]).all()


def test_half_precision_is_normalised_in_single() -> None:
    layer = BatchNorm(4, use_running_average=False, dtype=jnp.float32, rngs=nnx.Rngs(0))
    output = layer(features(8, 4, 4, 4).astype(jnp.bfloat16))
    assert output.dtype == jnp.float32
    np.testing.assert_allclose(output.std((0, 1, 2)), 1, atol=1e-3)
