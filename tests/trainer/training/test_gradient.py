"""The gradient by way of the embeddings: at once, in parts, with proxies."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trainer.errors import TrainingError
from trainer.losses.registry import loss_function
from trainer.model.parameters import from_flat, to_flat
from trainer.training.experiment import Experiment
from trainer.training.gradient import Evaluated, check_loss, make_loss_and_gradient
from trainer.training.initial import initial_config, initial_model
from trainer.training.optimizer import PROXIES
from trainer.training.state import initial_state, split_arrays

LABELS = np.repeat(np.arange(4, dtype=np.int32), 3)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A batch of 12 photos."""
    return np.random.default_rng(1).integers(0, 256, (12, 32, 32, 3), np.uint8)


def evaluated(experiment: Experiment, pixels: np.ndarray) -> Evaluated:
    config = initial_config(experiment)
    arrays = to_flat(initial_model(experiment, config))
    state = initial_state(experiment, config, arrays, classes=4)
    evaluate = jax.jit(make_loss_and_gradient(experiment, config))
    return evaluate(state.parameters, state.statistics, None, pixels, LABELS)


def largest_difference(first: Evaluated, second: Evaluated) -> float:
    """Relative to the largest gradient of the same array."""
    return max(
        float(jnp.abs(second.gradient[name] - expected).max() / (jnp.abs(expected).max() + 1e-12))
        for name, expected in first.gradient.items()
        if jnp.abs(expected).max() > 1e-6
    )


def test_the_gradient_is_that_of_the_loss_of_the_network(
    experiment: Callable[..., Experiment], pixels: np.ndarray
) -> None:
    asked = experiment(batch_norm="frozen", frozen_stages=3)
    config = initial_config(asked)
    parameters, statistics = split_arrays(to_flat(initial_model(asked, config)))
    loss_of = loss_function(asked.loss)

    def loss(parameters):
        model = from_flat(config, {**parameters, **statistics})
        return loss_of(model(jnp.asarray(pixels), frozen_stages=3), LABELS, None)

    value, gradient = jax.jit(jax.value_and_grad(loss))(parameters)
    ours = evaluated(asked, pixels)
    assert float(ours.loss) == pytest.approx(float(value), rel=1e-6)
    assert gradient.keys() == ours.gradient.keys()
    for name, expected in gradient.items():
        np.testing.assert_allclose(ours.gradient[name], expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("chunks", [2, 3, 12])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    chunks: int, experiment: Callable[..., Experiment], pixels: np.ndarray
) -> None:
    at_once = experiment(batch_norm="frozen", frozen_stages=2)
    in_parts = experiment(batch_norm="frozen", frozen_stages=2, gradient_chunks=chunks)
    whole, parts = evaluated(at_once, pixels), evaluated(in_parts, pixels)
    np.testing.assert_allclose(parts.embeddings, whole.embeddings, atol=1e-5)
    assert float(parts.loss) == pytest.approx(float(whole.loss), rel=1e-5)
    assert largest_difference(whole, parts) < 1e-4


def test_proxies_receive_a_gradient_and_start_apart(
    head_only: Callable[..., Experiment], pixels: np.ndarray
) -> None:
    found = evaluated(head_only(loss="arcface", centres_per_class=2), pixels)
    assert found.gradient[PROXIES].shape == (8, 16)
    assert jnp.abs(found.gradient[PROXIES]).max() > 0
    assert jnp.abs(found.gradient["head/kernel"]).max() > 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loss": "arcface", "memory_size": 8}, "no --memory-size; found 8"),
        ({"loss": "contrastive", "centres_per_class": 2}, "no --centres-per-class; found 2"),
    ],
)
def test_what_a_loss_would_ignore_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        check_loss(Experiment(**changes))
