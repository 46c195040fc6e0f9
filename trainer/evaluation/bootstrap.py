"""Confidence intervals by resampling products.

Photos of one product stand or fall together, so that an interval from resampled photos would be too
narrow. Whole products are drawn instead, with replacement: the cluster bootstrap of Field and
Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69 (2007), section 3.1, with percentile
intervals as in Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64, Int

CONFIDENCE = 0.95
RESAMPLES = 2000
_RESAMPLES_AT_A_TIME = 64


def resampled_means(
    totals: Float[np.ndarray, "clusters figures"],
    weights: Float[np.ndarray, " clusters"],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Float64[np.ndarray, "resamples figures"]:
    """Means of figures over as many clusters as there are, drawn with replacement.

    Args:
        totals: `[clusters, figures]`: each cluster's sum of each figure over its members.
        weights: `[clusters]`: how many members each has, above 0. With totals of single members'
            means and weights of 1 each cluster counts the same.
        resamples: how many means to draw.
        seed: of the draws; the same draws serve all figures.

    Returns:
        float64 `[resamples, figures]`, each row Σ totals / Σ weights of one draw.
    """
    means = [
        drawn @ totals / (drawn @ weights)[:, None]
        for drawn in _draws(len(weights), resamples, seed)
    ]
    return np.concatenate(means)


def percentile_interval(
    lower: Float64[np.ndarray, "resamples figures"],
    upper: Float64[np.ndarray, "resamples figures"],
    confidence: float = CONFIDENCE,
) -> tuple[Float64[np.ndarray, " figures"], Float64[np.ndarray, " figures"]]:
    """The interval from a low percentile of `lower` to the matching high one of `upper`.

    The two are resampled means of the same figures with ties decided against the model and for it;
    without ties they are equal, and this is the usual percentile interval.
    """
    outside = (1 - confidence) / 2
    return np.quantile(lower, outside, axis=0), np.quantile(upper, 1 - outside, axis=0)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[Float64[np.ndarray, "some _"]]:
    """How often each cluster is drawn, for some resamples at a time: memory stays small."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, _RESAMPLES_AT_A_TIME):
        rows = min(_RESAMPLES_AT_A_TIME, resamples - start)
        drawn: Int[np.ndarray, "rows clusters"] = random.integers(clusters, size=(rows, clusters))
        drawn += clusters * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)
