"""What is promised comes true for products not fitted; too few products promise nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from function.catalog import ImageRow, Product
from function.file_catalog import open_catalog, write_catalog
from function.file_index import SearchableRows
from function.index import NumpyIndex
from trainer.evaluation.attribution import Queries
from trainer.release.calibration.figure import calibration_png
from trainer.release.calibration.fitting import (
    Calibrated,
    calibrate,
    cross_fitted,
    fewest_products,
    fit,
)
from trainer.release.calibration.results import Results

# Scores at which every second first and later result matches.
FIRST, LATER = 0.7, 0.9


def answers(
    products: int, seed: int, *, steps: bool = False, photos: int = 10, page: int = 4
) -> tuple[Results, NDArray[np.float64]]:
    """Answers whose results match with known probabilities, and these."""
    random = np.random.default_rng(seed)
    size = (products * photos, 2, page)
    scores = np.sort(random.uniform(0, 1, size), axis=2)[..., ::-1]
    middle = np.where(np.arange(page) == 0, FIRST, LATER)
    truth = np.where(scores < 0.5, 0.05, 0.4) if steps else expit(10 * (scores - middle))
    present = np.broadcast_to(np.array([True, False])[:, None], size)
    places = np.broadcast_to(np.arange(page), size)
    product = np.broadcast_to(np.repeat(np.arange(products), photos)[:, None, None], size)
    matches = random.random(size) < truth
    return (
        Results(
            *(part.ravel() for part in (scores, matches, places, present, product)),
        ),
        truth.ravel(),
    )


@pytest.mark.parametrize("seed", range(3))
def test_known_probabilities_are_recovered_for_first_and_later_results(seed: int) -> None:
    results, _ = answers(300, seed)
    calibration = fit(results, 0.05).calibration
    asked = np.linspace(0.2, 0.95, 30)
    first = [calibration.match_probability(score, 0) for score in asked]
    np.testing.assert_allclose(first, expit(10 * (asked - FIRST)), atol=0.05)
    later = [calibration.match_probability(score, 1) for score in asked]
    np.testing.assert_allclose(later, expit(10 * (asked - LATER)), atol=0.05)
    assert calibration.expected_calibration_error < 0.03
    assert calibration.expected_calibration_error_later < 0.03


def test_the_measured_error_holds_for_products_that_come_later() -> None:
    known, _ = answers(60, 0)
    later, truth = answers(2000, 1)
    fitted = fit(known, 0.05).calibration
    promised = [
        fitted.match_probability(score, place)
        for score, place in zip(later.scores[later.first], later.places[later.first], strict=True)
    ]
    _, high = fitted.confidence_95["expected_calibration_error"]
    assert np.abs(np.array(promised) - truth[later.first]).mean() < high


def test_the_simpler_method_is_taken_until_the_other_is_clearly_better() -> None:
    assert fit(answers(100, 0)[0], 0.05).calibration.method == "platt"
    assert fit(answers(100, 0, steps=True)[0], 0.05).calibration.method == "isotonic"


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_products_own_outcomes_never_tell_its_probabilities(method) -> None:
    results, _ = answers(30, 0)
    before = cross_fitted(results, method)
    own = results.products == 7
    turned = Results(
        results.scores,
        results.matches ^ own,
        results.places,
        results.present,
        results.products,
    )
    after = cross_fitted(turned, method)
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).any()


def test_no_probability_is_surer_than_the_products_allow() -> None:
    results, _ = answers(25, 0)
    sure = Results(
        results.scores,
        results.first & results.present,
        results.places,
        results.present,
        results.products,
    )
    calibration = fit(sure, 0.05).calibration
    for curve in (calibration.first, calibration.later):
        assert min(curve.probabilities) >= 1 / 27 - 1e-12
        assert max(curve.probabilities) <= 26 / 27 + 1e-12


def test_a_calibration_counts_photos_and_products() -> None:
    results, _ = answers(25, 0, photos=3)
    calibration = fit(results, 0.1).calibration
    assert (calibration.queries, calibration.products) == (75, 25)
    assert calibration.target_false_match_rate == 0.1
    figures = {
        "expected_calibration_error",
        "expected_calibration_error_later",
        "false_match_rate",
        "false_non_match_rate",
    }
    assert calibration.confidence_95.keys() == figures
    for low, high in calibration.confidence_95.values():
        assert 0 <= low <= high <= 1


@pytest.mark.parametrize(("rate", "fewest"), [(0.05, 20), (0.01, 100), (0.5, 20), (0.001, 1000)])
def test_one_product_must_stand_for_the_rate(rate: float, fewest: int) -> None:
    assert fewest_products(rate) == fewest


@pytest.mark.parametrize("products", [0, 1, 19])
def test_too_few_products_are_refused_with_the_number(
    products: int, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = tmp_path / "catalog.sqlite"
    write_catalog(catalog, [Product("a")], [ImageRow(0, "a", "x")])
    vectors = np.ones((products, 1), np.float32)
    queries = Queries([f"p{number}" for number in range(products)], np.full(products, -1))
    stored = open_catalog(catalog)
    index = NumpyIndex(np.ones((1, 1), np.float32))
    assert calibrate(SearchableRows(index, stored), stored, queries, vectors) is None
    stored.close()
    told = " ".join(capsys.readouterr().err.split())
    assert "expected photos of 20 products that the run never saw" in told
    assert f"for a false-match rate of 0.05; found {products}." in told


@pytest.mark.parametrize("steps", [False, True])
def test_the_picture_is_drawn_for_either_method(steps: bool) -> None:
    calibrated: Calibrated = fit(answers(40, 0, steps=steps)[0], 0.05)
    assert calibration_png(calibrated).startswith(b"\x89PNG")
