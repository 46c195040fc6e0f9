from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from unittest.mock import create_autospec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.sharding import Mesh

from trainer.data.records import Catalog
from trainer.data.resample import resample
from trainer.model.parameters import to_flat
from trainer.training import step as module
from trainer.training.batches import resize_on, training_batches
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config, initial_model
from trainer.training.mesh import device_mesh, put_rows, put_whole
from trainer.training.state import TrainState, initial_state
from trainer.training.step import StepMetrics, TrainingStep, embedding_rank, make_step

LABELS = np.repeat(np.arange(4, dtype=np.int32), 3)
UNCHANGED = np.tile(np.array([1, 1, 1, 0], np.float32), (12, 1))


def one_device() -> Mesh:
    return device_mesh(12, jax.devices()[:1])


def placed(
    number: int, pixels: np.ndarray, flag: int = 0, windows: np.ndarray | None = None
) -> tuple[jax.Array | None, ...]:
    mesh = one_device()
    rows = (np.full(1, flag, np.int32), pixels, windows, UNCHANGED, LABELS)
    return (
        put_whole(mesh, np.int32(number)),
        *(None if array is None else put_rows(mesh, array) for array in rows),
    )


def begin(experiment: Experiment) -> tuple[TrainingStep, TrainState]:
    config = initial_config(experiment)
    arrays = to_flat(initial_model(experiment, config))
    state = initial_state(experiment, config, arrays, classes=4)
    mesh = one_device()
    return make_step(experiment, config, mesh), jax.tree.map(partial(put_whole, mesh), state)


def apply(
    step: TrainingStep,
    state: TrainState,
    number: int,
    pixels: np.ndarray | None = None,
    windows: np.ndarray | None = None,
) -> tuple[TrainState, StepMetrics]:
    if pixels is None:
        pixels = np.random.default_rng(number).integers(0, 256, (12, 32, 32, 3), np.uint8)
    inputs = placed(number, pixels, windows=windows)
    with jax.transfer_guard("disallow"):
        return step(state, *inputs)


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


def test_a_state_gives_its_memory_to_the_next_one(head_only: Callable[..., Experiment]) -> None:
    step, state = begin(head_only())
    given = jax.tree.leaves((state.parameters, state.optimizer))
    apply(step, state, 0)
    assert len(given) > 10
    assert all(array.is_deleted() for array in given)


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
    state = replace(state, parameters=poisoned)
    before = copied(state)
    state, metrics = apply(step, state, 1)
    assert not np.isfinite(metrics.loss)
    assert int(metrics.step) == 1
    assert all(
        np.array_equal(new, old, equal_nan=True)
        for new, old in zip(jax.tree.leaves(state), jax.tree.leaves(before), strict=True)
    )
    # Even where the next batch would be fine: the loop is told of step 1, not of a later one.
    state = replace(state, parameters=good)
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


def test_a_photo_that_the_loss_does_not_move_is_not_active(
    head_only: Callable[..., Experiment],
) -> None:
    _, all_kept = apply(*begin(head_only(loss_options={"epsilon": None})), 0)
    assert float(all_kept.active_share) == 1.0
    # No pair is within a margin of −2 of the hardest: cosines differ by 2 at most.
    _, none_kept = apply(*begin(head_only(loss_options={"epsilon": -2.0})), 0)
    assert float(none_kept.active_share) == 0.0
    assert float(none_kept.loss) == 0.0


def test_photos_that_the_device_resizes_train_as_those_that_the_host_does(
    head_only: Callable[..., Experiment], catalog: Catalog
) -> None:
    # Without the miner, which may drop a pair over a level's difference.
    asked = head_only(steps=1, loss_options={"epsilon": None})
    step, state = begin(asked)
    (on_host,) = training_batches(catalog, asked)
    (for_device,) = training_batches(catalog, asked, resize="device")
    windows = for_device.windows
    squares = np.asarray(resample(*jax.device_put((for_device.pixels, windows)), 32))
    resized, metrics = apply(step, copied(state), 0, for_device.pixels, windows)
    expected, same = apply(step, copied(state), 0, squares)
    assert float(metrics.loss) == pytest.approx(float(same.loss), rel=1e-5)
    np.testing.assert_allclose(
        resized.parameters["head/kernel"], expected.parameters["head/kernel"], rtol=1e-4, atol=1e-6
    )
    # Pillow rounds to whole levels twice, the device once.
    _, host = apply(step, copied(state), 0, on_host.pixels)
    assert float(metrics.loss) == pytest.approx(float(host.loss), rel=5e-3)


def test_who_resizes_follows_from_the_chips() -> None:
    assert resize_on(one_device()) == "host"
    chips = create_autospec(Mesh, instance=True)
    chips.devices = np.array([SimpleNamespace(platform="gpu")] * 2)
    assert resize_on(chips) == "device"


def test_the_rank_of_embeddings_counts_the_directions_that_they_fill() -> None:
    line = np.linspace(-1, 1, 10)[:, None] * np.ones(4)
    assert float(embedding_rank(jnp.asarray(line))) == pytest.approx(1.0, rel=1e-5)
    square = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32) + 7
    assert float(embedding_rank(jnp.asarray(square))) == pytest.approx(2.0, rel=1e-4)
    assert float(embedding_rank(jnp.ones((5, 3)))) == 0.0


@pytest.mark.parametrize(
    "measure",
    [embedding_rank, lambda rows: module._similarities(rows, jnp.arange(5, dtype=jnp.int32))],
    ids=["rank", "similarities"],
)
def test_what_is_measured_of_embeddings_is_multiplied_in_full_float32(
    measure: Callable[[jax.Array], object],
) -> None:
    # A processor does so anyway: only the program tells what a GPU or TPU is asked for.
    program = jax.make_jaxpr(measure)(jnp.ones((5, 3)))
    products = [eqn for eqn in program.eqns if eqn.primitive is lax.dot_general_p]
    assert len(products) == 1
    assert set(products[0].params["precision"]) == {lax.Precision.HIGHEST}


def test_the_average_follows_the_weights_slowly(head_only: Callable[..., Experiment]) -> None:
    step, state = begin(head_only(average_decay=0.9))
    average = np.asarray(state.average["head/kernel"])
    for number in range(3):
        state, _ = apply(step, state, number)
        share = 1 - min(0.9, (1 + number) / (10 + number))
        average = average + share * (np.asarray(state.parameters["head/kernel"]) - average)
        np.testing.assert_allclose(state.average["head/kernel"], average, rtol=1e-5, atol=1e-7)
    assert state.average.keys() == state.arrays.keys()


def test_the_memory_counts_after_its_warm_up(head_only: Callable[..., Experiment]) -> None:
    asked = {"loss": "contrastive", "learning_rate": 1e-9}
    plain, state = begin(head_only(**asked))
    losses = []
    for number in range(3):
        state, metrics = apply(plain, state, number)
        losses.append(float(metrics.loss))
    step, state = begin(head_only(**asked, memory_size=24, memory_warmup_steps=2))
    for number in range(3):
        state, metrics = apply(step, state, number)
        same = float(metrics.loss) == pytest.approx(losses[number], rel=1e-5)
        assert same == (number < 2)
    assert int(state.memory.filled) == 24
    assert int(state.memory.pointer) == 12


def test_a_flag_of_any_device_is_seen(head_only: Callable[..., Experiment]) -> None:
    step, state = begin(head_only())
    inputs = placed(0, np.zeros((12, 32, 32, 3), np.uint8), flag=1)
    assert int(step(state, *inputs)[1].interrupted) == 1
