"""Losses are found by name, and their options are those of their signatures."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from trainer.errors import LookalikeError
from trainer.losses.multi_similarity import multi_similarity_loss
from trainer.losses.proxies import initial_proxies
from trainer.losses.registry import default_options, loss_function, names, needs_proxies

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABELS = np.array([0, 0, 1, 1, 2, 2])


def test_lists_pair_losses_and_proxy_losses():
    assert len(names()) == len(set(names())) == 13
    assert [name for name in names() if needs_proxies(name)] == [
        "proxy_anchor",
        "proxy_nca",
        "arcface",
    ]


@pytest.mark.parametrize("name", names())
def test_every_loss_has_numbers_for_options_and_a_documented_equation(name):
    assert default_options(name)
    assert all(isinstance(value, float | int) for value in default_options(name).values())
    function = loss_function(name).func
    assert f"{function.__name__}" == f"{name}_loss"
    assert " = " in function.__doc__
    for option in default_options(name):
        assert f"        {option}: " in function.__doc__


def test_gives_the_function_with_the_options_that_differ():
    assert default_options("multi_similarity") == {
        "alpha": 2.0,
        "beta": 50.0,
        "base": 0.5,
        "epsilon": 0.1,
    }
    chosen = loss_function("multi_similarity", {"beta": 40, "epsilon": None})
    expected = multi_similarity_loss(ROWS, LABELS, beta=40.0, epsilon=None)
    assert float(chosen(ROWS, LABELS, None)) == float(expected)


@pytest.mark.parametrize("ask", [loss_function, needs_proxies, default_options])
def test_an_unknown_name_lists_the_valid_ones(ask):
    with pytest.raises(LookalikeError, match=r"no loss 'arcfase'; choose one of .*nt_xent.*arcfac"):
        ask("arcfase")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("arcface", {"alpha": 1}, r"no option 'alpha'; it has margin=0.5, scale=64.0"),
        ("arcface", {"margin": None}, r"margin of the loss arcface is a finite float; found None"),
        ("triplet_batch_hard", {"margin": -np.inf}, "a finite float or None; found -inf"),
        ("recall_at_k", {"largest_k": 2.5}, r"largest_k .* a finite int; found 2.5"),
        ("supcon", {"temperature": float("nan")}, "a finite float; found nan"),
        ("supcon", {"temperature": True}, "a finite float; found True"),
    ],
)
def test_a_wrong_option_is_refused_with_what_there_is(name, options, message):
    with pytest.raises(LookalikeError, match=message):
        loss_function(name, options)


def test_whole_numbers_do_for_floats_and_compile_nothing_anew():
    loss_function("supcon", {"temperature": 1.0})(ROWS, LABELS, None)
    compiled = loss_function("supcon").func._cache_size()
    loss_function("supcon", {"temperature": 1})(ROWS, LABELS, None)
    assert loss_function("supcon").func._cache_size() == compiled


def test_proxies_are_of_their_seed_about_length_one_and_grouped_by_class():
    proxies = initial_proxies(50, 64, seed=3, centres_per_class=2)
    np.testing.assert_array_equal(proxies.labels, np.repeat(np.arange(50), 2))
    assert proxies.embeddings.shape == (100, 64)
    assert proxies.embeddings.dtype == np.float32
    assert proxies.valid.all()
    assert np.linalg.norm(proxies.embeddings, axis=1) == pytest.approx(1, abs=0.4)
    again, other = (initial_proxies(50, 64, seed=seed, centres_per_class=2) for seed in (3, 4))
    np.testing.assert_array_equal(proxies.embeddings, again.embeddings)
    assert abs(proxies.embeddings - other.embeddings).max() > 0.1


@pytest.mark.parametrize("name", [name for name in names() if needs_proxies(name)])
def test_a_few_steps_on_proxies_alone_lower_a_proxy_loss(name):
    proxies, loss = initial_proxies(3, 4, seed=0), loss_function(name)

    def of_rows(rows):
        return loss(ROWS, LABELS, replace(proxies, embeddings=rows))

    slope = jax.jit(jax.value_and_grad(of_rows))
    rows, values = proxies.embeddings, []
    for _ in range(20):
        value, gradient = slope(rows)
        values.append(float(value))
        rows = rows - 0.01 * gradient
    assert values[-1] < 0.95 * values[0]
