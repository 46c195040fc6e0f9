from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trainer.training.experiment import Experiment
from trainer.training.optimizer import learning_rate_schedule, make_optimizer

PARAMETERS = {
    "stem/conv/kernel": jnp.ones((2, 3)),
    "stages/0/0/branch/0/norm/scale": jnp.ones(3),
    "stages/3/0/branch/0/conv/kernel": jnp.ones((2, 3)),
    "head/kernel": jnp.ones((3, 2)),
    "head/bias": jnp.ones(2),
}


def step(experiment: Experiment, gradient: float) -> dict[str, float]:
    """The first update of each parameter, by its first value."""
    optimizer = make_optimizer(experiment)
    gradients = jax.tree.map(lambda values: jnp.full_like(values, gradient), PARAMETERS)
    updates, _ = optimizer.update(gradients, optimizer.init(PARAMETERS), PARAMETERS)
    return {name: float(values.ravel()[0]) for name, values in updates.items()}


def test_the_rate_rises_linearly_then_falls_to_zero_as_a_cosine() -> None:
    rate = learning_rate_schedule(Experiment(steps=110, warmup_steps=10, learning_rate=1.0))
    np.testing.assert_allclose(
        [rate(0), rate(5), rate(10), rate(60), rate(110)],
        [1 / 11, 6 / 11, 1.0, 0.5, 0.0],
        atol=1e-6,
    )


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_run_shorter_than_its_warm_up_still_learns(steps: int) -> None:
    rate = learning_rate_schedule(Experiment(steps=steps, warmup_steps=50))
    assert all(0 < rate(number) <= 1e-4 for number in range(steps))


def test_the_head_learns_faster_by_its_factor() -> None:
    updates = step(Experiment(head_learning_rate_factor=7.0, weight_decay=0.0), 0.1)
    assert updates["head/kernel"] == pytest.approx(7 * updates["stem/conv/kernel"], rel=1e-5)


def test_decay_is_for_kernels_only() -> None:
    updates = step(Experiment(weight_decay=0.1), 0.0)
    assert {name for name, update in updates.items() if update < 0} == {
        "stem/conv/kernel",
        "stages/3/0/branch/0/conv/kernel",
        "head/kernel",
    }


def test_frozen_stages_neither_move_nor_keep_moments() -> None:
    experiment = Experiment(frozen_stages=1)
    updates = step(experiment, 0.1)
    assert updates["stem/conv/kernel"] == updates["stages/0/0/branch/0/norm/scale"] == 0.0
    assert updates["stages/3/0/branch/0/conv/kernel"] < 0
    kept = sum(array.size for array in jax.tree.leaves(make_optimizer(experiment).init(PARAMETERS)))
    trained = sum(PARAMETERS[name].size for name in list(PARAMETERS)[2:])
    counts = 4
    assert kept == 2 * trained + counts


def test_gradients_are_scaled_down_to_the_clipping_norm(
    experiment: Callable[..., Experiment],
) -> None:
    optimizer = make_optimizer(experiment(clip_norm=1.0))
    gradients = jax.tree.map(lambda values: jnp.full_like(values, 100.0), PARAMETERS)
    _, state = optimizer.update(gradients, optimizer.init(PARAMETERS), PARAMETERS)
    first_moments = state[1].inner_states["head"].inner_state[0].mu
    values = sum(array.size for array in PARAMETERS.values())
    assert float(first_moments["head/bias"][0]) == pytest.approx(0.1 / np.sqrt(values), rel=1e-5)
