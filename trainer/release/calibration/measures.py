"""How far probabilities are off, and how many false matches a threshold lets through.

Intervals come from resampling products, as everywhere: `trainer.evaluation.bootstrap`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from trainer.evaluation.bootstrap import percentile_interval, resampled_means
from trainer.release.calibration.results import Results

# Equally wide; the picture shows the same.
BINS = 10


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def bin_of(probabilities: Float[np.ndarray, " results"]) -> Int[np.ndarray, " results"]:
    """Return the number of the bin that each probability falls into."""
    return np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)


def calibration_error(probabilities: Float[np.ndarray, " results"], results: Results) -> Estimate:
    """Measure the expected calibration error: Σ over bins |Σ (probability - match)| / results.

    Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning,
    AAAI 2015. Chance alone makes it larger than 0, and a resampled one larger still,
    so that the interval of a small error may begin at or above it.
    """
    size = results.product_count * BINS
    place = results.clusters * BINS + bin_of(probabilities)
    surplus = np.bincount(place, probabilities - results.matches, minlength=size)
    totals = surplus.reshape(-1, BINS)
    counts = np.bincount(results.clusters).astype(np.float64)
    resampled = np.abs(resampled_means(totals, counts)).sum(axis=1, keepdims=True)
    low, high = percentile_interval(resampled, resampled)
    value = np.abs(totals.sum(axis=0)).sum() / counts.sum()
    return Estimate(float(value), float(low[0]), float(high[0]))


def share(events: Bool[np.ndarray, " results"], results: Results) -> Estimate:
    """Return the share of results that an event befell."""
    counts = np.bincount(results.clusters).astype(np.float64)
    means = resampled_means(np.bincount(results.clusters, events)[:, None], counts)
    low, high = percentile_interval(means, means)
    return Estimate(float(events.mean()), float(low[0]), float(high[0]))


def threshold(best: Float[np.ndarray, " queries"], rate: float) -> float:
    """Return the score that at most `rate` of such queries are expected to reach.

    It lies just above the ⌈(n + 1)(1 - rate)⌉-th lowest of n: a further query, drawn as these were,
    reaches it with probability `rate` at most, as in conformal prediction (Vovk, Gammerman and
    Shafer, Algorithmic Learning in a Random World (2005), chapter 2). Where n is below
    1/rate - 1, that takes more queries than there are, and the highest stands in.

    Args:
        best: the first results' scores of photos whose product is not in the catalogue.
        rate: above 0, below 1.
    """
    # Of 40 at 0.05 the 39th, not the 40th because of a rounding.
    place = int(np.ceil((len(best) + 1) * (1 - rate) - 1e-9))
    return float(np.nextafter(np.sort(best)[min(place, len(best)) - 1], 2))


def identification_rates(results: Results, rate: float) -> tuple[Estimate, Estimate]:
    """Measure a threshold's two errors, each product's photos by the others' threshold.

    Args:
        results: of queries with their product in the catalogue and without.
        rate: what the thresholds are chosen for.

    Returns:
        The share of queries without their product that reach the threshold, and of those with it
        that do not: open-set identification's false positives and false negatives (Phillips,
        Grother and Micheals, Evaluation methods in face recognition, in Handbook of Face
        Recognition (2011)).
    """
    absent, present = (results[results.first & (results.present == with_it)] for with_it in (0, 1))
    others = {
        product: threshold(absent.scores[absent.products != product], rate)
        for product in np.unique(results.products).tolist()
    }
    limits = [np.array([others[p] for p in half.products.tolist()]) for half in (absent, present)]
    return (
        share(absent.scores >= limits[0], absent),
        share(present.scores < limits[1], present),
    )


def log_loss(
    probabilities: Float[np.ndarray, " results"], matches: Bool[np.ndarray, " results"]
) -> Float64[np.ndarray, " results"]:
    """Return each result's surprise, in nats."""
    return -np.log(np.where(matches, probabilities, 1 - probabilities))
