"""What is the multi-similarity loss's own: its miner, near-ties, a published implementation."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jaxtyping import config

from trainer.losses import multi_similarity_loss

STORED = json.loads((Path(__file__).parent / "pytorch_metric_learning_values.json").read_text())
DEFAULT = {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1}
UNMINED = DEFAULT | {"epsilon": None}

value_and_gradient = jax.jit(
    jax.value_and_grad(multi_similarity_loss),
    static_argnames=tuple(DEFAULT),
    compiler_options={"xla_backend_optimization_level": 0},  # most of the time goes to compiling
)


def stored_results(*, only=None):
    return [
        pytest.param(case, result, id=f"{case['name']}-{number}")
        for case in STORED["cases"]
        for number, result in enumerate(case["results"])
        if only is None or result["settings"] in only
    ]


def by_the_formula(rows, labels, *, alpha, beta, base, epsilon):
    """The loss in float64 by nested loops; also how near a pair comes to the miner's borders."""
    rows = np.asarray(rows, np.float64)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    count, total, nearest_border = len(rows), 0.0, np.inf
    for i in range(count):
        positives = [rows[i] @ rows[j] for j in range(count) if j != i and labels[j] == labels[i]]
        negatives = [rows[i] @ rows[j] for j in range(count) if labels[j] != labels[i]]
        if epsilon is not None:
            lowest, highest = min(positives, default=np.inf), max(negatives, default=-np.inf)
            borders = [s - epsilon - highest for s in positives]
            borders += [s + epsilon - lowest for s in negatives]
            nearest_border = min([nearest_border, *map(abs, borders)])
            positives = [s for s in positives if s - epsilon < highest]
            negatives = [s for s in negatives if s + epsilon > lowest]
        total += np.log(1 + sum(np.exp(-alpha * (s - base)) for s in positives)) / alpha
        total += np.log(1 + sum(np.exp(beta * (s - base)) for s in negatives)) / beta
    return total / count, nearest_border


def clustered(seed, labels, dim=8, spread=0.8):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(int(max(labels)) + 1, dim))
    rows = centres[labels] + spread * random.normal(size=(len(labels), dim))
    return rows.astype(np.float32)


@settings(max_examples=60)
@given(
    labels=st.lists(st.integers(0, 4), min_size=9, max_size=9),
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.05, 0.5, 2.0]),
    options=st.sampled_from(
        [DEFAULT, UNMINED, {"alpha": 5.0, "beta": 20.0, "base": 0.8, "epsilon": 0.4}]
    ),
)
def test_is_the_formula_in_nested_loops(labels, seed, spread, options):
    rows = clustered(seed, labels, spread=spread)
    expected, nearest_border = by_the_formula(rows, labels, **options)
    assume(nearest_border > 1e-5)  # nearer, float32 and float64 may choose different pairs
    assert float(multi_similarity_loss(rows, np.array(labels), **options)) == pytest.approx(
        expected, abs=2e-6, rel=2e-6
    )


@pytest.mark.parametrize(("case", "result"), stored_results(only=[DEFAULT, UNMINED]))
def test_equals_pytorch_metric_learning_in_value_and_gradient(case, result):
    rows = jnp.array(case["embeddings"], jnp.float32)
    loss, gradient = value_and_gradient(rows, jnp.array(case["labels"]), **result["settings"])
    expected = np.array(result["gradient"])
    assert float(loss) == pytest.approx(result["loss"], abs=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=2e-6 * max(1, abs(expected).max()))


@pytest.mark.parametrize(("case", "result"), stored_results())
def test_in_float64_equals_pytorch_metric_learning_to_rounding(case, result):
    with jax.enable_x64(True):
        rows = jnp.array(case["embeddings"], jnp.float64)
        loss, gradient = value_and_gradient(rows, jnp.array(case["labels"]), **result["settings"])
        assert loss.dtype == jnp.float64
        assert float(loss) == pytest.approx(result["loss"], abs=1e-14, rel=1e-13)
        np.testing.assert_allclose(gradient, result["gradient"], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("options", [DEFAULT, UNMINED])
def test_the_gradient_is_the_slope_of_the_loss(options):
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    rows = clustered(3, labels, dim=4).astype(np.float64)
    step = 1e-6
    with jax.enable_x64(True):
        gradient = jax.grad(multi_similarity_loss)(jnp.array(rows), jnp.array(labels), **options)
    for index in np.ndindex(rows.shape):
        ahead, behind = rows.copy(), rows.copy()
        ahead[index] += step
        behind[index] -= step
        rise = (
            by_the_formula(ahead, labels, **options)[0]
            - by_the_formula(behind, labels, **options)[0]
        )
        assert float(gradient[index]) == pytest.approx(rise / (2 * step), abs=1e-7)


def test_well_separated_classes_cost_exactly_nothing_once_mined():
    rows = jnp.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 1, 0.01]], jnp.float32)
    labels = jnp.array([0, 0, 1, 1])
    loss, gradient = value_and_gradient(rows, labels)
    assert float(loss) == 0.0
    assert not gradient.any()
    assert float(multi_similarity_loss(rows, labels, epsilon=None)) > 0.1


DEGENERATE = {
    "no positives": (np.eye(4, dtype=np.float32) + 0.3, [0, 1, 2, 3]),
    "no negatives": (np.eye(4, dtype=np.float32) + 0.3, [7, 7, 7, 7]),
    "one row": (np.ones((1, 3), np.float32), [0]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_an_anchor_without_an_opponent_mines_nothing(name):
    rows, labels = DEGENERATE[name]
    assert float(multi_similarity_loss(jnp.array(rows), jnp.array(labels))) == 0.0


def test_a_zero_row_counts_as_orthogonal_to_all_and_gets_no_gradient():
    rows = clustered(0, np.array([0, 0, 1, 1]), dim=4)
    rows[:, 3] = 0
    with_zero, with_orthogonal = rows.copy(), rows.copy()
    with_zero[1], with_orthogonal[1] = 0, [0, 0, 0, 1]
    labels = np.array([0, 0, 1, 1])
    loss, gradient = value_and_gradient(with_zero, labels, epsilon=None)
    assert float(loss) == pytest.approx(
        float(multi_similarity_loss(with_orthogonal, labels, epsilon=None)), abs=1e-6
    )
    assert not gradient[1].any()
    assert gradient[0].any()


def test_compiles_once_whatever_the_labels():
    compiled_before = multi_similarity_loss._cache_size()
    rows = clustered(6, np.zeros(11, int), dim=5)
    for labels in (np.arange(11), np.zeros(11, int), np.arange(11) // 2):
        multi_similarity_loss(rows, labels, epsilon=0.123)
    assert multi_similarity_loss._cache_size() == compiled_before + 1


@pytest.mark.parametrize(("rows", "labels"), [((4, 3), (1,)), ((4, 3), (4, 1)), ((4,), (4,))])
def test_refuses_shapes_that_would_silently_broadcast(rows, labels, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)  # as outside the tests
    with pytest.raises(ValueError, match=r"expected embeddings \[batch, dim\] and labels"):
        multi_similarity_loss(np.ones(rows, np.float32), np.ones(labels, int))
