"""Curves are the fits that their papers define, monotone and bounded, whatever the data."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from function.calibration import Curve
from trainer.release.calibration.curves import fit_isotonic, fit_platt

Scores = NDArray[np.float64]
Matches = NDArray[np.bool_]

FITS = (fit_platt, fit_isotonic)

outcomes = st.lists(
    st.tuples(st.floats(-1, 1, width=32), st.booleans()), min_size=1, max_size=40
).map(lambda pairs: (np.array([s for s, _ in pairs]), np.array([m for _, m in pairs])))


def drawn(count: int, seed: int = 0) -> tuple[Scores, Matches]:
    """Scores, and matches by the sigmoid 12 · (score - 0.6)."""
    random = np.random.default_rng(seed)
    scores = random.uniform(0, 1, count)
    return scores, random.random(count) < expit(12 * (scores - 0.6))


def at(curve: Curve, scores: Scores) -> Scores:
    return np.interp(scores, curve.scores, curve.probabilities)


@pytest.mark.parametrize("fit", FITS)
@given(data=outcomes, least=st.floats(0.001, 0.4))
def test_a_curve_rises_and_stays_between_its_bounds(fit, data, least) -> None:
    curve = fit(*data, least)
    assert all(low < high for low, high in pairwise(curve.scores))
    assert all(low <= high for low, high in pairwise(curve.probabilities))
    assert all(least <= probability <= 1 - least for probability in curve.probabilities)
    assert np.isfinite(curve.scores).all()
    assert min(curve.scores) >= -1 - 1e-9
    assert max(curve.scores) <= 1 + 1e-9


def test_platts_curve_is_where_the_cross_entropy_of_his_targets_has_no_slope() -> None:
    scores, matches = drawn(200)
    curve = fit_platt(scores, matches, 1e-6)
    logits = np.log(curve.probabilities) - np.log1p(-np.array(curve.probabilities))
    slope, offset = np.polyfit(curve.scores, logits, 1)
    np.testing.assert_allclose(slope * np.array(curve.scores) + offset, logits, atol=1e-6)
    right, wrong = matches.sum(), (~matches).sum()
    targets = np.where(matches, (right + 1) / (right + 2), 1 / (wrong + 2))
    surplus = expit(slope * scores + offset) - targets
    assert abs(surplus.sum()) < 1e-6
    assert abs((surplus * scores).sum()) < 1e-6


def test_straight_lines_stay_close_to_platts_sigmoid() -> None:
    scores, matches = drawn(500)
    curve = fit_platt(scores, matches, 1e-3)
    logits = np.log(curve.probabilities) - np.log1p(-np.array(curve.probabilities))
    slope, offset = np.polyfit(curve.scores, logits, 1)
    inside = np.linspace(curve.scores[0], curve.scores[-1], 2000)
    np.testing.assert_allclose(at(curve, inside), expit(slope * inside + offset), atol=0.002)


@pytest.mark.parametrize("seed", range(4))
def test_platt_recovers_the_sigmoid_that_outcomes_were_drawn_from(seed: int) -> None:
    curve = fit_platt(*drawn(20_000, seed), 1e-4)
    asked = np.linspace(0, 1, 101)
    np.testing.assert_allclose(at(curve, asked), expit(12 * (asked - 0.6)), atol=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_isotonic_recovers_steps_that_no_sigmoid_follows(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.uniform(0, 1, 20_000)
    truth = np.select([scores < 0.3, scores < 0.7], [0.1, 0.5], 0.6)
    curve = fit_isotonic(scores, random.random(len(scores)) < truth, 1e-4)
    asked = np.array([0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9])
    expected = [0.1, 0.1, 0.5, 0.5, 0.5, 0.6, 0.6]
    np.testing.assert_allclose(at(curve, asked), expected, atol=0.05)


def isotonic_oracle(scores: Scores, matches: Matches) -> Scores:
    """Least squares over every way to cut the sorted scores into level stretches."""
    values = np.unique(scores)
    groups = [matches[scores == value].astype(float) for value in values]
    best, best_loss = np.empty(0), np.inf
    for cuts in product((False, True), repeat=len(values) - 1):
        stretch = np.concatenate([[0], np.cumsum(cuts)]).astype(int)
        means = [
            np.concatenate([g for g, n in zip(groups, stretch, strict=True) if n == number]).mean()
            for number in range(stretch[-1] + 1)
        ]
        levels = np.array(means)[stretch]
        loss = sum(((g - level) ** 2).sum() for g, level in zip(groups, levels, strict=True))
        if (np.diff(levels) >= 0).all() and loss < best_loss - 1e-12:
            best, best_loss = levels, loss
    return best


@pytest.mark.parametrize("seed", range(30))
def test_isotonic_is_the_best_of_all_rising_steps(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 8, 14) / 8
    matches = random.random(14) < scores
    curve = fit_isotonic(scores, matches, 1e-9)
    values = np.unique(scores)
    np.testing.assert_allclose(at(curve, values), isotonic_oracle(scores, matches), atol=1e-8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("match", [False, True])
def test_outcomes_of_one_kind_make_no_certainty(fit, match: bool) -> None:
    scores = np.linspace(0, 1, 50)
    curve = fit(scores, np.full(50, match), 0.05)
    expected = 0.95 if match else 0.05
    np.testing.assert_allclose(at(curve, scores), expected, atol=1e-6)


@pytest.mark.parametrize("fit", FITS)
def test_equal_scores_give_the_share_that_matched(fit) -> None:
    matches = np.arange(100) < 30
    curve = fit(np.full(100, 0.5), matches, 0.01)
    assert curve.at(0.5) == pytest.approx(0.3, abs=0.01)
    assert len(curve.scores) == 1


@pytest.mark.parametrize("fit", FITS)
def test_one_result_is_enough_for_a_curve(fit) -> None:
    curve = fit(np.array([0.5]), np.array([True]), 0.1)
    assert 0.1 <= curve.at(0.5) <= 0.9


@pytest.mark.parametrize("fit", FITS)
def test_scores_that_mislead_give_one_probability_for_all(fit) -> None:
    scores = np.linspace(0, 1, 100)
    curve = fit(scores, scores < 0.4, 0.01)
    np.testing.assert_allclose(at(curve, scores), 0.4, atol=0.02)


def test_parted_outcomes_give_a_steep_curve_within_the_bounds() -> None:
    scores = np.concatenate([np.linspace(0, 0.4, 50), np.linspace(0.6, 1, 50)])
    curve = fit_platt(scores, scores > 0.5, 0.02)
    assert 0.02 <= curve.at(0.3) < 0.06
    assert 0.94 < curve.at(0.7) <= 0.98
    assert (curve.at(0), curve.at(1)) == pytest.approx((0.02, 0.98))
