"""The recall@k surrogate against the values and gradients of its authors' code, in float64."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trainer.losses.recall_at_k import recall_at_k_loss

STORED = json.loads(Path(__file__).with_name("recall_at_k_values.json").read_text())


@pytest.mark.parametrize("result", STORED["results"], ids=lambda result: str(result["options"]))
def test_equals_the_authors_code_in_value_and_gradient(result):
    with jax.enable_x64(True):
        rows = jnp.array(STORED["embeddings"], jnp.float64)
        labels = jnp.array(STORED["labels"])
        found, gradient = jax.value_and_grad(
            lambda rows: recall_at_k_loss(rows, labels, **result["options"])
        )(rows)
        # There an anchor's own row is before the others by a sigmoid, here it is not ranked.
        assert float(found) == pytest.approx(result["loss"], rel=1e-6)
        expected = np.array(result["gradient"])
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())
