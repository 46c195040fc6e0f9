from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from trainer.model.parameters import to_flat
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config, initial_model
from trainer.training.step import StepMetrics, TrainingStep, TrainState, initial_state, make_step

LABELS = np.repeat(np.arange(4, dtype=np.int32), 3)


def begin(experiment: Experiment) -> tuple[TrainingStep, TrainState]:
    config = initial_config(experiment)
    model = initial_model(experiment, config)
    return make_step(experiment, config), initial_state(experiment, to_flat(model))


def apply(
    step: TrainingStep, state: TrainState, number: int, pixels: np.ndarray | None = None
) -> tuple[TrainState, StepMetrics]:
    if pixels is None:
        pixels = np.random.default_rng(number).integers(0, 256, (12, 32, 32, 3), np.uint8)
    with jax.transfer_guard("disallow"):
        return step(state, *jax.device_put((np.int32(number), pixels, LABELS)))


def copied(state: TrainState) -> TrainState:
    return jax.tree.map(jnp.copy, state)


def differing(before: TrainState, after: TrainState) -> set[str]:
    return {
        name
        for name, array in {**after.parameters, **after.statistics}.items()
        if not np.array_equal(array, {**before.parameters, **before.statistics}[name])
    }


def test_a_step_moves_all_parameters_and_batch_norm_statistics(
    experiment: Callable[..., Experiment],
) -> None:
    step, state = begin(experiment())
    before = copied(state)
    state, metrics = apply(step, state, 0)
    assert differing(before, state) == {*state.parameters, *state.statistics}
    assert int(state.step) == int(metrics.step) == 1
    assert all(array.dtype == jnp.float32 for array in state.parameters.values())
    assert float(metrics.loss) > 0
    assert float(metrics.gradient_norm) > 0
    assert -1 <= float(metrics.negative_similarity) <= 1


def test_frozen_stages_and_statistics_stay(head_only: Callable[..., Experiment]) -> None:
    step, state = begin(head_only())
    before = copied(state)
    state, _ = apply(step, state, 0)
    assert differing(before, state) == {"head/kernel", "head/bias"}


def test_bfloat16_computes_with_float32_parameters_and_loss(
    head_only: Callable[..., Experiment],
) -> None:
    step, state = begin(head_only(dtype="bfloat16"))
    state, metrics = apply(step, state, 0)
    assert metrics.loss.dtype == jnp.float32
    assert {array.dtype for array in state.parameters.values()} == {jnp.dtype("float32")}


def test_a_step_that_is_not_finite_and_all_after_it_leave_the_state(
    head_only: Callable[..., Experiment],
) -> None:
    step, state = begin(head_only())
    state, _ = apply(step, state, 0)
    poisoned = {**state.parameters, "head/bias": state.parameters["head/bias"] * jnp.nan}
    good = jax.tree.map(jnp.copy, state.parameters)
    state = TrainState(state.step, poisoned, state.statistics, state.optimizer)
    before = copied(state)
    state, metrics = apply(step, state, 1)
    assert not np.isfinite(metrics.loss)
    assert int(metrics.step) == 1
    assert all(
        np.array_equal(new, old, equal_nan=True)
        for new, old in zip(jax.tree.leaves(state), jax.tree.leaves(before), strict=True)
    )
    # Even where the next batch would be fine: the loop is told of step 1, not of a later one.
    state = TrainState(state.step, good, state.statistics, state.optimizer)
    state, metrics = apply(step, state, 2)
    assert np.isfinite(metrics.loss)
    assert int(metrics.step) == 1


def test_similarities_are_the_means_over_pairs(head_only: Callable[..., Experiment]) -> None:
    asked = head_only()
    step, state = begin(asked)
    pixels = np.random.default_rng(5).integers(0, 256, (12, 32, 32, 3), np.uint8)
    model = initial_model(asked, initial_config(asked))
    rows = np.asarray(nnx.jit(lambda network, photos: network(photos))(model, jnp.asarray(pixels)))
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    positive = np.mean([rows[i] @ rows[j] for i, j in pairs if LABELS[i] == LABELS[j]])
    negative = np.mean([rows[i] @ rows[j] for i, j in pairs if LABELS[i] != LABELS[j]])
    _, metrics = apply(step, state, 0, pixels)
    assert float(metrics.positive_similarity) == pytest.approx(positive, abs=1e-5)
    assert float(metrics.negative_similarity) == pytest.approx(negative, abs=1e-5)
