"""Intervals from resampled products: against a plain loop, and how often they hold the truth."""

import numpy as np
import pytest

from trainer.evaluation.bootstrap import percentile_interval, resampled_means


def test_each_mean_is_that_of_as_many_clusters_drawn_with_replacement():
    totals, sizes = np.array([[3.0], [0.0], [10.0]]), np.array([3.0, 1.0, 20.0])
    means = resampled_means(totals, sizes, resamples=500, seed=1)
    possible = {
        totals[list(drawn)].sum() / sizes[list(drawn)].sum() for drawn in np.ndindex(3, 3, 3)
    }
    assert {round(mean, 12) for mean in means[:, 0]} == {round(mean, 12) for mean in possible}


def test_draws_follow_from_the_seed_alone_and_serve_all_figures():
    random = np.random.default_rng(0)
    totals, sizes = random.random((40, 2)), np.ones(40)
    means = resampled_means(totals, sizes, resamples=200, seed=7)
    np.testing.assert_array_equal(means, resampled_means(totals, sizes, resamples=200, seed=7))
    assert not np.array_equal(means, resampled_means(totals, sizes, resamples=200, seed=8))
    twice = resampled_means(totals[:, [0, 0]], sizes, resamples=200, seed=7)
    np.testing.assert_array_equal(twice[:, 0], twice[:, 1])


def test_the_spread_is_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=(400, 1))
    means = resampled_means(values, np.ones(400), resamples=4000)
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / np.sqrt(400), rel=0.05)


def test_the_interval_runs_from_the_pessimistic_low_to_the_optimistic_high():
    lower = np.linspace(0.0, 1.0, 1001)[:, None]
    low, high = percentile_interval(lower, lower + 5)
    assert (low[0], high[0]) == pytest.approx((0.025, 5.975))


def test_the_interval_holds_the_truth_in_95_of_100_worlds_and_one_from_photos_does_not():
    # A product is found or not, and nearly all of its photos with it: the true share is 0.7.
    random = np.random.default_rng(0)
    covered = {"products": 0, "photos": 0}
    worlds = 400
    for world in range(worlds):
        sizes = random.integers(2, 9, size=150)
        chance = np.repeat(random.choice([0.95, 0.1], p=[12 / 17, 5 / 17], size=150), sizes)
        hits = (random.random(chance.size) < chance).astype(float)
        product = np.repeat(np.arange(150), sizes)
        totals = np.bincount(product, hits)[:, None]
        for name, (table, weights) in {
            "products": (totals, sizes.astype(float)),
            "photos": (hits[:, None], np.ones(hits.size)),
        }.items():
            means = resampled_means(table, weights, resamples=300, seed=world)
            low, high = percentile_interval(means, means)
            covered[name] += bool(low[0] <= 0.7 <= high[0])
    assert 0.92 <= covered["products"] / worlds <= 0.975
    assert covered["photos"] / worlds < 0.75
