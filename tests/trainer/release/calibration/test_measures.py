"""Errors and rates are what their definitions say, and hold on queries that come later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.release.calibration.measures import (
    BINS,
    calibration_error,
    identification_rates,
    log_loss,
    share,
    threshold,
)
from trainer.release.calibration.results import Results


def firsts(
    scores: NDArray[np.float64],
    matches: NDArray[np.bool_],
    products: NDArray[np.int64],
    *,
    present: bool = True,
) -> Results:
    """First results alone."""
    zeros = np.zeros(len(scores), np.int64)
    return Results(scores, matches, zeros, np.full(len(scores), present), products)


def both(present: Results, absent: Results) -> Results:
    names = ("scores", "matches", "places", "present", "products")
    return Results(*(np.concatenate([getattr(present, n), getattr(absent, n)]) for n in names))


def test_the_calibration_error_is_the_sum_over_bins() -> None:
    random = np.random.default_rng(0)
    probabilities = random.random(300)
    probabilities[:2] = 0.0, 1.0
    matches = random.random(300) < probabilities**2
    results = firsts(probabilities, matches, random.integers(5, 30, 300))
    expected = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        last = number == BINS - 1
        here = (probabilities >= low) & ((probabilities < high) | last)
        if here.any():
            gap = abs(probabilities[here].mean() - matches[here].mean())
            expected += here.mean() * gap
    error = calibration_error(probabilities, results)
    assert error.value == pytest.approx(expected)
    assert error.low < error.value < error.high


def test_probabilities_that_outcomes_follow_have_a_small_error_and_others_theirs() -> None:
    random = np.random.default_rng(1)
    probabilities = random.random(20_000)
    results = firsts(
        probabilities, random.random(20_000) < probabilities, random.integers(0, 500, 20_000)
    )
    assert calibration_error(probabilities, results).value < 0.015
    too_high = np.clip(probabilities + 0.1, 0, 1)
    error = calibration_error(too_high, results)
    assert error.low < np.mean(too_high - probabilities) < error.high


def test_photos_of_one_product_widen_the_interval() -> None:
    random = np.random.default_rng(2)
    befallen = np.repeat(random.random(40) < 0.3, 25)
    one, apart = (
        share(befallen, firsts(np.zeros(1000), befallen, products))
        for products in (np.repeat(np.arange(40), 25), np.arange(1000))
    )
    assert one.value == apart.value == befallen.mean()
    assert one.high - one.low > 3 * (apart.high - apart.low)


@given(
    best=st.lists(st.floats(-1, 1), min_size=1, max_size=80),
    rate=st.floats(0.01, 0.9),
)
def test_at_most_the_rate_of_the_scores_reaches_the_threshold(
    best: list[float], rate: float
) -> None:
    limit = threshold(np.array(best), rate)
    assert np.mean(np.array(best) >= limit) <= rate + 1e-9


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("count", [100, 399])
def test_later_queries_reach_the_threshold_as_often_as_was_asked(rate: float, count: int) -> None:
    random = np.random.default_rng(0)
    passed = [
        1 - threshold(random.random(count), rate)  # of uniform scores, those that come later
        for _ in range(4000)
    ]
    assert rate - 1 / (count + 1) - 0.001 <= np.mean(passed) <= rate + 0.001


def test_one_score_is_its_own_threshold() -> None:
    limit = threshold(np.array([0.4]), 0.05)
    assert 0.4 < limit < 0.4 + 1e-9


def test_rates_are_measured_by_the_other_products_thresholds() -> None:
    random = np.random.default_rng(3)
    products = random.integers(0, 12, 200)
    absent = firsts(random.random(200), np.zeros(200, bool), products, present=False)
    present = firsts(random.random(200) + 0.3, np.ones(200, bool), products)
    false_match, missed = identification_rates(both(present, absent), 0.1)
    wrong = lost = 0
    for number in range(200):
        others = absent.scores[products != products[number]]
        limit = sorted(others)[int(np.ceil((len(others) + 1) * 0.9)) - 1]
        wrong += absent.scores[number] > limit
        lost += present.scores[number] <= limit
    assert false_match.value == pytest.approx(wrong / 200)
    assert missed.value == pytest.approx(lost / 200)


def test_the_measured_rate_holds_for_products_that_come_later() -> None:
    inside = 0
    for seed in range(20):
        random = np.random.default_rng(seed)

        def impostors(products: int, random: np.random.Generator = random) -> Results:
            """Photos of a product lie together."""
            of = np.repeat(np.arange(products), 10)
            scores = np.repeat(random.normal(0.4, 0.1, products), 10)
            scores += random.normal(0, 0.05, 10 * products)
            return firsts(scores, np.zeros(len(of), bool), of, present=False)

        known, later = impostors(150), impostors(3000)
        sure = firsts(np.ones(1500), np.ones(1500, bool), known.products)
        measured, _ = identification_rates(both(sure, known), 0.05)
        rate = (later.scores >= threshold(known.scores, 0.05)).mean()
        inside += measured.low <= rate <= measured.high
    assert inside >= 16


def test_log_loss_is_the_surprise() -> None:
    losses = log_loss(np.array([0.8, 0.8]), np.array([True, False]))
    np.testing.assert_allclose(losses, [-np.log(0.8), -np.log(0.2)])
