"""The other losses against pytorch-metric-learning's values and gradients, in float64.

Multi-similarity has its own cases in test_multi_similarity.py. What made the values is in
make_pytorch_metric_learning_values.py, with the settings that bridge conventions.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trainer.losses.references import References
from trainer.losses.registry import loss_function

STORED = json.loads((Path(__file__).parent / "pytorch_metric_learning_values.json").read_text())
RESULTS = [
    pytest.param(result, id=f"{result['loss_name']}-{number}")
    for number, result in enumerate(STORED["family"]["results"])
]


def all_valid(rows, labels):
    return References(rows, labels, jnp.ones(labels.size, bool))


def one_by_one(loss, rows, labels, anchors, others):
    """Mean over anchors, each alone, against `others`, its own row perhaps among them."""

    def of_anchor(anchor):
        references = all_valid(rows[others], labels[others])
        return loss(rows[anchor][None], labels[anchor][None], references)

    return jnp.mean(jax.lax.map(of_anchor, anchors))


@pytest.mark.parametrize("result", RESULTS)
def test_equals_pytorch_metric_learning_in_value_and_gradient(result):
    name, options = result["loss_name"], dict(result["options"])
    batch = STORED["family"]["batches"][result["batch"]]
    centres = options.pop("centres_per_class", 1)
    loss = loss_function(name, options)
    tolerance = 1e-9
    with jax.enable_x64(True):
        rows, labels = jnp.array(batch["embeddings"], jnp.float64), jnp.array(batch["labels"])
        arguments = [rows]
        if "proxies" in result:
            arguments.append(jnp.array(result["proxies"], jnp.float64))

        def value(rows, proxies=None):
            if name == "n_pair":
                anchors, positives = jnp.array(batch["n_pairs"])
                return one_by_one(loss, rows, labels, anchors, positives)
            if name == "smooth_ap":
                everyone = jnp.arange(labels.size)
                return one_by_one(loss, rows, labels, everyone, everyone)
            references = None
            if proxies is not None:
                classes = jnp.repeat(jnp.arange(len(proxies) // centres), centres)
                references = all_valid(proxies, classes)
            return loss(rows, labels, references)

        if name == "smooth_ap":
            tolerance = 1e-6  # its average precisions are float32
        found, gradients = jax.jit(
            jax.value_and_grad(value, argnums=tuple(range(len(arguments)))),
            compiler_options={"xla_backend_optimization_level": 0},
        )(*arguments)
        assert float(found) == pytest.approx(result["loss"], rel=tolerance)
        for key, gradient in zip(("gradient", "proxy_gradient"), gradients, strict=False):
            expected = np.array(result[key])
            scale = abs(expected).max()
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=10 * tolerance * scale)
