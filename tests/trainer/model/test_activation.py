"""The rectifier is the same on every backend."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trainer.model.activation import rectify


@pytest.mark.parametrize("backend", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_value_and_gradient_are_zero_up_to_zero(
    backend: str, dtype: jnp.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    inputs = jnp.asarray([-2.0, -0.0, 0.0, 0.5, 3.0], dtype)
    output, pull = jax.vjp(rectify, inputs)
    (gradient,) = pull(jnp.full(5, 2.0, dtype))
    assert output.dtype == gradient.dtype == dtype
    np.testing.assert_array_equal(output.astype(jnp.float32), [0, 0, 0, 0.5, 3])
    np.testing.assert_array_equal(gradient.astype(jnp.float32), [0, 0, 0, 2, 2])
