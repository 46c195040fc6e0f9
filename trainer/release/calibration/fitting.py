"""A release's calibration: fitted, measured on other products than fitted, or refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64

from function.calibration import (
    Calibration,
    CalibrationMethod,
    CalibrationTask,
    Curve,
)
from function.catalog import Catalog
from function.vector_index import Searchable
from trainer.evaluation.attribution import Queries
from trainer.evaluation.bootstrap import resampled_means
from trainer.progress import console, progress_bar
from trainer.release.calibration.curves import fit_isotonic, fit_platt
from trainer.release.calibration.measures import (
    calibration_error,
    identification_rates,
    log_loss,
    threshold,
)
from trainer.release.calibration.results import Results, ask

# Share of photos of foreign products that may count as a confident match.
DEFAULT_FALSE_MATCH_RATE = 0.05

# Photos of one product go together, so products are what is counted. Of 20, one stands for 5 %.
_FEWEST_PRODUCTS = 20

_FOLDS = 5

# The simpler first: the other must be better by more than chance.
_METHODS: Mapping[CalibrationMethod, Callable[..., Curve]] = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration and what it was made of.

    Attributes:
        calibration: for the manifest.
        results: what was asked and answered.
        probabilities: of each result, by curves fitted to other products.
    """

    calibration: Calibration
    results: Results
    probabilities: Float64[np.ndarray, " results"]


def calibrate(
    index: Searchable[Any],
    catalog: Catalog,
    queries: Queries,
    vectors: Float32[np.ndarray, "queries dim"],
    *,
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
) -> Calibrated | None:
    """Ask a release with photos of unseen products, and learn what its scores mean.

    Args:
        index, catalog, queries, vectors: as for `ask`.
        false_match_rate: share of photos of products that are not in the catalogue whose first
            result may count as a confident match, above 0, below 1.

    Returns:
        None, after a line that says why, where there are fewer products than `fewest_products`.
    """
    products, fewest = len(set(queries.products)), fewest_products(false_match_rate)
    if products < fewest:
        console.print(
            f"Not calibrated, so no matchProbability: expected photos of {fewest} products that "
            "the run never saw and the catalogue has (other) photos of, for a false-match rate of "
            f"{false_match_rate:g}; found {products}."
        )
        return None
    with progress_bar("Calibrating", len(queries.products)) as bar:
        results = ask(index, catalog, queries, vectors, on_progress=bar.advance)
    by_customers = bool((queries.own_rows < 0).all())
    return fit(results, false_match_rate, "query_to_catalog" if by_customers else "leave_one_out")


def fewest_products(false_match_rate: float) -> int:
    """How many unseen products a calibration takes.

    As many that one of them stands for the false-match rate: of fewer, the threshold would be
    nothing but the highest score that happened.
    """
    return max(_FEWEST_PRODUCTS, ceil(1 / false_match_rate))


def fit(
    results: Results, false_match_rate: float, task: CalibrationTask = "query_to_catalog"
) -> Calibrated:
    """Fit curves and threshold to all results; measure them on products that were left out.

    Of the two methods the simpler one, Platt's, is taken, unless the other's log loss is lower by
    more than its standard error (Breiman et al., Classification and Regression Trees (1984),
    section 3.4.3).

    Args:
        results: with their products in the catalogue and without; at least `_FOLDS` products.
        false_match_rate: as for `calibrate`.
        task: whose photos asked.
    """
    fitted = {method: cross_fitted(results, method) for method in _METHODS}
    method: CalibrationMethod = "platt"
    if _is_better(fitted["isotonic"], fitted["platt"], results):
        method = "isotonic"
    probabilities = fitted[method]
    first, later = fit_curves(results, method)
    absent = results[results.first & ~results.present]
    errors = {
        "expected_calibration_error": results.first,
        "expected_calibration_error_later": ~results.first,
    }
    figures = {
        name: calibration_error(probabilities[which], results[which])
        for name, which in errors.items()
    }
    false_match, false_non_match = identification_rates(results, false_match_rate)
    figures |= {"false_match_rate": false_match, "false_non_match_rate": false_non_match}
    calibration = Calibration(
        task=task,
        method=method,
        first=first,
        later=later,
        queries=len(absent.scores),
        products=results.product_count,
        score_threshold=threshold(absent.scores, false_match_rate),
        target_false_match_rate=false_match_rate,
        confidence_95={name: (figure.low, figure.high) for name, figure in figures.items()},
        **{name: figure.value for name, figure in figures.items()},
    )
    return Calibrated(calibration, results, probabilities)


def fit_curves(results: Results, method: CalibrationMethod) -> tuple[Curve, Curve]:
    """Fit the curve of first results, and that of later ones.

    By Laplace's rule of succession, with products as the trials, no probability comes nearer to 0
    or 1 than 1 / (products + 2).
    """
    least = 1 / (results.product_count + 2)
    first, later = results[results.first], results[~results.first]
    fit_curve = _METHODS[method]
    return (
        fit_curve(first.scores, first.matches, least),
        fit_curve(later.scores, later.matches, least),
    )


def cross_fitted(results: Results, method: CalibrationMethod) -> Float64[np.ndarray, " results"]:
    """Return each result's probability by curves fitted to other products' results."""
    order = np.random.default_rng(0).permutation(results.product_count)
    fold = (order % _FOLDS)[results.clusters]
    probabilities = np.empty(len(results.scores))
    for number in range(_FOLDS):
        curves = fit_curves(results[fold != number], method)
        for curve, place in zip(curves, (results.first, ~results.first), strict=True):
            here = (fold == number) & place
            probabilities[here] = np.interp(results.scores[here], curve.scores, curve.probabilities)
    return probabilities


def _is_better(
    one: Float[np.ndarray, " results"], other: Float[np.ndarray, " results"], results: Results
) -> bool:
    gain = log_loss(other, results.matches) - log_loss(one, results.matches)
    counts = np.bincount(results.clusters).astype(np.float64)
    means = resampled_means(np.bincount(results.clusters, gain)[:, None], counts)
    return float(gain.mean()) > float(means.std())
