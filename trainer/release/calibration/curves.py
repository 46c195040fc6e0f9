"""Scores and outcomes to a curve of probabilities, by either of two methods.

Both are monotone, and end `least` away from 0 and 1: an outcome that never came is not impossible.
"""

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from function.calibration import Curve

# Straight lines between so many points, evenly spaced in logits, stay within 0.002 of a sigmoid
# from 0.001 to 0.999.
_POINTS = 41
# A ridge that keeps the Hessian regular where all scores are equal, and when steps are small enough
# (Lin, Lin and Weng, algorithm 1).
_RIDGE, _LEAST_STEP = 1e-12, 1e-10
_MOST_STEPS = 100
# In logits, from a score of -1 to 1: less is rounding, and below 0 scores mislead.
_LEAST_RISE = 1e-6


def fit_platt(
    scores: Float[np.ndarray, " results"], matches: Bool[np.ndarray, " results"], least: float
) -> Curve:
    """Fit a sigmoid of the score, 1 / (1 + exp(-(slope · score + offset))), slope 0 or above.

    Platt, Probabilistic outputs for support vector machines (1999), with his targets, which keep
    the fit finite where the classes part: (N₊ + 1)/(N₊ + 2) and 1/(N₋ + 2); by Newton's method as
    in Lin, Lin and Weng, A note on Platt's probabilistic outputs for support vector machines,
    Machine Learning 68 (2007), algorithm 1.

    Args:
        scores: -1 to 1, at least one.
        matches: the outcomes; all may be equal.
        least: the lowest probability, and one less the highest.
    """
    right = int(matches.sum())
    wrong = len(matches) - right
    targets = np.where(matches, (right + 1) / (right + 2), 1 / (wrong + 2))
    # A common scale makes the Hessian's condition independent of how narrow the scores are.
    centre, scale = float(scores.mean()), float(scores.std()) or 1.0
    slope, offset = _logistic((scores - centre) / scale, targets)
    lowest, highest = (slope * (end - centre) / scale + offset for end in (-1, 1))
    low, high = max(lowest, logit(least)), min(highest, logit(1 - least))
    if highest - lowest < _LEAST_RISE or low >= high:
        return _level(scores, float(targets.mean()), least)
    logits = np.linspace(low, high, _POINTS)
    return _curve(centre + scale * (logits - offset) / slope, expit(logits), least)


def fit_isotonic(
    scores: Float[np.ndarray, " results"], matches: Bool[np.ndarray, " results"], least: float
) -> Curve:
    """Fit the never falling steps that are nearest to the outcomes in least squares.

    Pool adjacent violators: Ayer et al., An empirical distribution function for sampling with
    incomplete information, Ann. Math. Statist. 26 (1955); for calibration, Zadrozny and Elkan,
    Transforming classifier scores into accurate multiclass probability estimates, KDD 2002. Between
    steps the curve is linear.

    Args: as `fit_platt`.
    """
    values, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shares = np.bincount(place, matches) / counts
    levels = isotonic_regression(shares, weights=counts.astype(np.float64)).x
    return _curve(values, levels, least)


def _logistic(
    scores: Float64[np.ndarray, " results"], targets: Float64[np.ndarray, " results"]
) -> tuple[float, float]:
    """Slope and offset that minimise the cross-entropy; both 0 at the start."""
    inputs = np.stack([scores, np.ones_like(scores)], axis=1)

    def loss(weights: Float64[np.ndarray, "2"]) -> float:
        logits = inputs @ weights
        return float((np.logaddexp(0, logits) - targets * logits).sum())

    weights = np.zeros(2)
    now = loss(weights)
    for _ in range(_MOST_STEPS):
        predicted = expit(inputs @ weights)
        gradient = inputs.T @ (predicted - targets)
        curvature = inputs.T @ (inputs * (predicted * (1 - predicted))[:, None])
        step = np.linalg.solve(curvature + _RIDGE * np.eye(2), gradient)
        share = 1.0
        while loss(weights - share * step) > now and share > _LEAST_STEP:
            share /= 2
        after = loss(weights - share * step)
        if after >= now:
            break
        weights, now = weights - share * step, after
    return float(weights[0]), float(weights[1])


def _level(scores: Float[np.ndarray, " results"], probability: float, least: float) -> Curve:
    """Where scores say nothing: the same probability for all."""
    return _curve(scores[:1], np.array([probability]), least)


def _curve(
    scores: Float[np.ndarray, " points"], probabilities: Float[np.ndarray, " points"], least: float
) -> Curve:
    """Bound the probabilities, and leave out points inside level stretches."""
    # Points of a very steep curve may fall on one score.
    scores, first = np.unique(scores, return_index=True)
    levels = np.clip(probabilities[first], least, 1 - least)
    inside = np.zeros(len(levels), bool)
    inside[1:-1] = (levels[1:-1] == levels[:-2]) & (levels[1:-1] == levels[2:])
    return Curve(tuple(scores[~inside].tolist()), tuple(levels[~inside].tolist()))
