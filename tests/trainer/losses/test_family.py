"""Every loss by the same promises: its formula, its slope, bad batches, types, a mesh."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import config

from tests.trainer.losses.formulas import loss_by_formula
from trainer.losses.references import References
from trainer.losses.registry import default_options, loss_function, names, needs_proxies

NAMES = names()
PAIR_NAMES = [name for name in NAMES if not needs_proxies(name)]
BATCH, FURTHER, DIM, CLASSES = 8, 7, 4, 4
OTHER_OPTIONS = {
    "multi_similarity": {"alpha": 5.0, "beta": 20.0, "base": 0.8, "epsilon": None},
    "contrastive": {"margin": 1.5, "positive_margin": 0.3, "power": 1},
    "triplet_batch_hard": {"margin": None},
    "triplet_semi_hard": {"margin": 1.0},
    "n_pair": {"temperature": 0.5},
    "nt_xent": {"temperature": 0.5},
    "supcon": {"temperature": 0.5},
    "circle": {"margin": 0.25, "gamma": 10.0},
    "smooth_ap": {"temperature": 0.1},
    "recall_at_k": {"largest_k": 5, "recall_temperature": 0.5, "rank_temperature": 0.1},
    "proxy_anchor": {"alpha": 8.0, "delta": 0.3},
    "proxy_nca": {"temperature": 1.0},
    "arcface": {"margin": 1.5, "scale": 8.0},
}
# Compiling takes most of the time here, and optimising most of that.
COMPILER = {"xla_backend_optimization_level": 0}
SETTINGS = {
    **{name: {} for name in NAMES},
    **{f"{name}, other options": options for name, options in OTHER_OPTIONS.items()},
}


def compile_(key):
    """`(rows, labels, further, further_labels, valid)` -> value and both gradients."""
    loss = loss_function(key.partition(",")[0], SETTINGS[key])

    def evaluate(rows, labels, *references):
        return loss(rows, labels, References(*references))

    return jax.jit(jax.value_and_grad(evaluate, argnums=(0, 2)), compiler_options=COMPILER)


compiled = {key: compile_(key) for key in SETTINGS}


def make_batch(seed, labels=None, further_labels=None, dtype=np.float64):
    """Rows about their class's centre; references of the same classes, two of them not valid."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, BATCH) if labels is None else np.array(labels)
    if further_labels is None:
        further_labels = random.integers(0, CLASSES, FURTHER)
    further_labels = np.array(further_labels)
    centres = random.normal(size=(20, DIM))
    spread = random.choice([0.1, 0.5, 2.0])
    rows, further = (
        (centres[which] + spread * random.normal(size=(which.size, DIM))).astype(dtype)
        for which in (labels, further_labels)
    )
    valid = np.ones(FURTHER, bool)
    valid[random.permutation(FURTHER)[:2]] = False
    return rows, labels, further, further_labels, valid


def formula(key, rows, labels, further, further_labels, valid, weights_at=None):
    name = key.partition(",")[0]
    options = default_options(name) | SETTINGS[key]
    references = (further, further_labels, valid)
    return loss_by_formula(name, rows, labels, references, options, weights_at)


@pytest.mark.parametrize("key", SETTINGS)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    labels=st.lists(st.integers(0, 4), min_size=BATCH, max_size=BATCH),
    further_labels=st.lists(st.integers(0, 4), min_size=FURTHER, max_size=FURTHER),
)
def test_is_the_formula_in_nested_loops(key, seed, labels, further_labels):
    batch = make_batch(seed, labels, further_labels)
    with jax.enable_x64(True):
        loss, _ = compiled[key](*batch)
        assert loss.dtype == jnp.float64
    assert float(loss) == pytest.approx(formula(key, *batch), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("key", SETTINGS)
def test_the_gradient_is_the_slope_of_the_formula_by_rows_and_by_references(key):
    batch = make_batch(0, labels=[0, 0, 0, 1, 1, 2, 2, 3], further_labels=[0, 1, 1, 2, 3, 3, 4])
    with jax.enable_x64(True):
        _, gradients = compiled[key](*batch)
    weights_at = (batch[0], batch[1], batch[2:])
    step = 1e-6
    for argument, gradient in zip((0, 2), gradients, strict=True):
        slope = np.zeros_like(batch[argument])
        for index in np.ndindex(slope.shape):
            sides = []
            for sign in (1, -1):
                moved = [values.copy() for values in batch]
                moved[argument][index] += sign * step
                sides.append(formula(key, *moved, weights_at))
            slope[index] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(gradient, slope, atol=1e-6 * max(1, abs(slope).max()))
        assert abs(slope).max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_float32_and_bfloat16_rows_are_summed_in_float32(name):
    rows, labels, further, further_labels, valid = make_batch(3, dtype=np.float32)
    rows, further = rows.astype(jnp.bfloat16), further.astype(jnp.bfloat16)
    loss, gradients = compiled[name](rows, labels, further, further_labels, valid)
    assert loss.dtype == jnp.float32
    assert gradients[0].dtype == gradients[1].dtype == jnp.bfloat16
    wide = [rows.astype(np.float32), labels, further.astype(np.float32), further_labels, valid]
    wide_loss, wide_gradients = compiled[name](*wide)
    assert float(loss) == pytest.approx(float(wide_loss), rel=1e-6)
    assert float(wide_loss) == pytest.approx(formula(name, *wide), rel=2e-4, abs=1e-5)
    for narrow, expected in zip(gradients, wide_gradients, strict=True):
        scale = float(abs(expected).max())
        np.testing.assert_allclose(
            narrow.astype(np.float32), expected, rtol=1e-2, atol=1e-2 * scale
        )


def duplicates():
    rows = np.ones((BATCH, DIM), np.float32)
    return rows, np.arange(BATCH) // 2, np.ones((FURTHER, DIM), np.float32)


def plain(labels):
    random = np.random.default_rng(0)
    rows, further = (random.normal(size=(n, DIM)).astype(np.float32) for n in (BATCH, FURTHER))
    return rows, np.array(labels), further


DEGENERATE = {
    "no positives": plain(np.arange(100, 100 + BATCH)),
    "one class": plain([0] * BATCH),
    "duplicates in and across classes": duplicates(),
    "opposite rows": (
        np.array([[1, 0, 0, 0], [-1, 0, 0, 0]] * (BATCH // 2), np.float32),
        np.arange(BATCH) // 2,
        -duplicates()[2],
    ),
    "all zero": (
        np.zeros((BATCH, DIM), np.float32),
        np.arange(BATCH) // 2,
        np.zeros((FURTHER, DIM), np.float32),
    ),
    "rows whose squares overflow": (
        plain([0] * BATCH)[0] * np.float32(1e30),
        np.arange(BATCH) // 2,
        plain([0] * BATCH)[2] * np.float32(1e30),
    ),
    "rows whose squares vanish": (
        plain([0] * BATCH)[0] * np.float32(1e-30),
        np.arange(BATCH) // 2,
        plain([0] * BATCH)[2] * np.float32(1e-30),
    ),
}


@pytest.mark.parametrize("key", SETTINGS)
def test_loss_and_gradient_stay_finite_on_a_degenerate_batch(key):
    for case, (rows, labels, references) in DEGENERATE.items():
        if case == "rows whose squares overflow" and key.startswith("n_pair"):
            continue  # it compares by just these products
        for further in ("one class", "many classes", "not valid"):
            one = further == "one class"
            further_labels = np.zeros(FURTHER, int) if one else np.arange(FURTHER)
            valid = np.full(FURTHER, further != "not valid")
            loss, gradients = compiled[key](rows, labels, references, further_labels, valid)
            assert np.isfinite(loss), (case, further)
            assert float(loss) >= -1e-6, (case, further)
            assert all(np.isfinite(gradient).all() for gradient in gradients), (case, further)


def test_one_row_without_references_costs_nothing():
    def evaluate(rows, labels):
        losses = {name: loss_function(name) for name in PAIR_NAMES}
        return {name: jax.value_and_grad(loss)(rows, labels, None) for name, loss in losses.items()}

    found = jax.jit(evaluate, compiler_options=COMPILER)(jnp.ones((1, 3)), jnp.zeros(1, int))
    assert {name: float(loss) for name, (loss, _) in found.items()} == dict.fromkeys(PAIR_NAMES, 0)
    assert not any(gradient.any() for _, gradient in found.values())


@pytest.mark.parametrize("name", [name for name in NAMES if needs_proxies(name)])
def test_a_proxy_loss_asks_for_proxies(name):
    with pytest.raises(ValueError, match="expected references: the trainable proxies"):
        loss_function(name)(jnp.ones((1, 3)), jnp.zeros(1, int), None)


@pytest.mark.parametrize("name", PAIR_NAMES)
def test_references_that_are_not_valid_count_for_nothing_whatever_they_hold(name):
    rows, labels, further, further_labels, _ = make_batch(5, dtype=np.float32)
    none = np.zeros(FURTHER, bool)
    alone = loss_by_formula(name, rows, labels, None, default_options(name))
    _, gradients = compiled[name](rows, labels, further, further_labels, none)
    further[:] = np.nan
    loss, gradients_beside_nan = compiled[name](rows, labels, further, further_labels, none)
    assert float(loss) == pytest.approx(alone, rel=1e-4)
    np.testing.assert_array_equal(gradients_beside_nan[0], gradients[0])
    assert not gradients_beside_nan[1].any()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_rows_and_the_names_of_the_classes_do_not_matter(name):
    rows, labels, further, further_labels, valid = make_batch(6)
    random = np.random.default_rng(0)
    order, further_order = random.permutation(BATCH), random.permutation(FURTHER)
    renamed = np.array([-5, 1000, 7, 0])
    with jax.enable_x64(True):
        loss, gradients = compiled[name](rows, labels, further, further_labels, valid)
        shuffled, shuffled_gradients = compiled[name](
            rows[order],
            renamed[labels][order],
            further[further_order],
            renamed[further_labels][further_order],
            valid[further_order],
        )
    assert float(shuffled) == pytest.approx(float(loss), rel=1e-12)
    np.testing.assert_allclose(shuffled_gradients[0], gradients[0][order], atol=1e-9)
    np.testing.assert_allclose(shuffled_gradients[1], gradients[1][further_order], atol=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "n_pair"])
def test_the_length_of_a_row_does_not_matter(name):
    rows, labels, further, further_labels, valid = make_batch(7, dtype=np.float32)
    lengths = np.logspace(-12, 12, BATCH, dtype=np.float32)[:, None]
    loss, _ = compiled[name](rows, labels, further, further_labels, valid)
    stretched, _ = compiled[name](rows * lengths, labels, 3 * further, further_labels, valid)
    assert float(stretched) == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.parametrize("key", SETTINGS)
def test_a_row_that_is_not_a_number_shows_in_the_loss(key):
    batch = make_batch(8, labels=[0, 0, 1, 1, 2, 2, 3, 3], further_labels=[0, 1, 2, 3, 0, 1, 2])
    rows, labels, further, further_labels, valid = batch
    rows[2, 0] = np.nan
    loss, _ = compiled[key](rows.astype(np.float32), labels, further, further_labels, valid)
    assert np.isnan(loss)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_shapes_that_do_not_belong_together(name, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)  # as outside the tests
    rows, labels = np.ones((4, 3), np.float32), np.zeros(4, int)
    good = References(np.ones((2, 3), np.float32), np.zeros(2, int), np.ones(2, bool))
    bad = References(np.ones((2, 5), np.float32), np.zeros(2, int), np.ones(2, bool))
    loss = loss_function(name)
    with pytest.raises(ValueError, match=r"expected embeddings \[batch, dim\] and labels"):
        loss(rows, labels[:1], good)
    with pytest.raises(ValueError, match=r"expected references \[n, 3\]"):
        loss(rows, labels, bad)


def test_n_pair_adds_the_mean_squared_length_of_the_rows():
    rows, labels, *_ = make_batch(9, dtype=np.float32)
    plain_loss = loss_function("n_pair")(rows, labels, None)
    penalised = loss_function("n_pair", {"regularisation": 0.25})(rows, labels, None)
    squares = 0.25 * (rows**2).sum(1).mean()
    assert float(penalised - plain_loss) == pytest.approx(squares, rel=1e-5)


def test_recall_at_k_asks_for_a_k():
    with pytest.raises(ValueError, match="largest_k of at least 1; found 0"):
        loss_function("recall_at_k", {"largest_k": 0})(jnp.ones((2, 2)), jnp.zeros(2, int), None)


SHARDED = """
    import jax
    jax.config.update("jax_num_cpu_devices", 4)
    import numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    from trainer.losses.references import References
    from trainer.losses.registry import loss_function, names

    random = np.random.default_rng(0)
    rows = random.normal(size=(16, 8)).astype(np.float32)
    further = random.normal(size=(6, 8)).astype(np.float32)
    labels, further_labels = np.arange(16) % 5, np.arange(6)
    references = References(further, further_labels, np.arange(6) != 2)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
    split, whole = NamedSharding(mesh, P("batch")), NamedSharding(mesh, P())
    assert len(jax.devices()) == 4


    def evaluate(*batch):
        return {name: jax.value_and_grad(loss_function(name))(*batch) for name in names()}

    step = jax.jit(evaluate, compiler_options={"xla_backend_optimization_level": 0})
    single = step(rows, labels, references)
    sharded = step(
        *jax.device_put((rows, labels), split), jax.device_put(references, whole)
    )
    for name in names():
        (loss, gradient), (sharded_loss, sharded_gradient) = single[name], sharded[name]
        np.testing.assert_allclose(sharded_loss, loss, rtol=2e-5, err_msg=name)
        np.testing.assert_allclose(sharded_gradient, gradient, rtol=1e-3, atol=1e-4, err_msg=name)
        print(name)
"""


def test_a_batch_that_is_spread_over_a_mesh_has_the_same_loss_and_gradient():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARDED)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(NAMES)
