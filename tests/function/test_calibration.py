"""Scores become probabilities as the release says, and a weak best result is no confident match."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.calibration import Calibration, Curve
from function.errors import ReleaseError
from function.manifest import MANIFEST
from function.manifest_file import parse_manifest
from tests.releases import TinyRelease, draw_photo
from tests.server import RunningFunction, run_function

CALIBRATION = Calibration(
    task="query_to_catalog",
    method="platt",
    first=Curve((-1.0, 0.5, 1.0), (0.1, 0.2, 0.9)),
    later=Curve((-1.0, 1.0), (0.01, 0.05)),
    queries=400,
    products=40,
    expected_calibration_error=0.02,
    expected_calibration_error_later=0.001,
    score_threshold=0.5,
    target_false_match_rate=0.05,
    false_match_rate=0.06,
    false_non_match_rate=0.3,
    confidence_95={"false_match_rate": (0.04, 0.08)},
)


def manifest_of(release: TinyRelease) -> Path:
    return release.root / "releases" / release.release_id / MANIFEST


@pytest.mark.parametrize(
    ("score", "place", "probability"),
    [(0.5, 0, 0.2), (0.75, 0, 0.55), (1.0, 0, 0.9), (1.0, 1, 0.05), (0.0, 9, 0.03)],
)
def test_first_and_later_results_have_curves_of_their_own(
    score: float, place: int, probability: float
) -> None:
    assert CALIBRATION.match_probability(score, place) == pytest.approx(probability)


def test_a_best_score_at_the_threshold_is_confident_and_nothing_found_is_not() -> None:
    assert CALIBRATION.is_confident(0.5)
    assert not CALIBRATION.is_confident(0.4999)
    assert not CALIBRATION.is_confident(None)


shares = st.floats(0, 1)
points = st.lists(st.floats(-1, 1), min_size=1, max_size=9, unique=True).flatmap(
    lambda scores: st.tuples(
        st.just(tuple(sorted(scores))),
        st.lists(shares, min_size=len(scores), max_size=len(scores)).map(
            lambda levels: tuple(sorted(levels))
        ),
    )
)


@given(points, st.lists(st.floats(-1.001, 1.001), min_size=2, max_size=20))
def test_a_higher_score_is_never_less_probable(
    curve: tuple[tuple[float, ...], tuple[float, ...]], scores: list[float]
) -> None:
    found = [Curve(*curve).at(score) for score in sorted(scores)]
    assert all(low <= high + 1e-12 for low, high in pairwise(found))
    assert found[0] >= curve[1][0] - 1e-12
    assert found[-1] <= curve[1][-1] + 1e-12


def test_a_manifest_keeps_its_calibration(tiny_release: TinyRelease) -> None:
    manifest = parse_manifest(manifest_of(tiny_release).read_bytes())
    assert manifest.calibration is None
    calibrated = replace(manifest, calibration=CALIBRATION)
    assert parse_manifest(calibrated.to_json()) == calibrated


def test_a_manifest_from_before_there_were_calibrations_is_read(tiny_release: TinyRelease) -> None:
    values = json.loads(manifest_of(tiny_release).read_bytes())
    del values["calibration"]
    assert parse_manifest(json.dumps(values).encode()).calibration is None


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (((), ()), r"calibration\.first\.scores: expected rising numbers; found \(\)"),
        (((0.5, 0.5), (0.1, 0.2)), r"calibration\.first\.scores: expected rising numbers"),
        (((0.1, 0.2), (0.2, 0.1)), r"first\.probabilities: expected 2 numbers from 0 to 1 that"),
        (((0.1, 0.2), (0.2,)), r"first\.probabilities: expected 2 numbers"),
        (((0.1,), (1.2,)), r"first\.probabilities: expected 1 numbers from 0 to 1"),
        (((float("nan"),), (0.5,)), r"calibration\.first\.scores: expected rising numbers"),
    ],
)
def test_a_curve_that_is_none_is_refused(
    tiny_release: TinyRelease, curve: tuple[tuple[float, ...], ...], message: str
) -> None:
    manifest = parse_manifest(manifest_of(tiny_release).read_bytes())
    wrong = replace(CALIBRATION, first=Curve(*curve))
    with pytest.raises(ReleaseError, match=message):
        parse_manifest(replace(manifest, calibration=wrong).to_json())


# -- over HTTP


@pytest.fixture(scope="module")
def calibrated(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    """The function over the tiny release with `CALIBRATION`."""
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(tiny_release.root, folder / "root")
    path = folder / "root" / "releases" / tiny_release.release_id / MANIFEST
    manifest = parse_manifest(path.read_bytes())
    path.write_bytes(replace(manifest, calibration=CALIBRATION).to_json())
    with run_function(folder / "log.txt", root=str(folder / "root")) as running:
        running.wait_until_ready()
        yield running


def photo() -> bytes:
    output = BytesIO()
    draw_photo(1, 2).save(output, "JPEG")
    return output.getvalue()


def answer(running: RunningFunction, **fields: Any) -> Any:
    found = running.search(photo(), **fields)
    assert found.status == 200, found.body
    return found.json()


def test_every_result_tells_its_probability_on_every_page(calibrated: RunningFunction) -> None:
    whole = answer(calibrated, pageSize=6)
    results = whole["productSearchResults"]["results"]
    assert len(results) == 6
    for place, result in enumerate(results):
        expected = CALIBRATION.match_probability(result["score"], place)
        assert result["matchProbability"] == pytest.approx(expected, abs=1e-4)
    first = answer(calibrated, pageSize=2)
    second = answer(calibrated, pageSize=2, pageToken=first["nextPageToken"])
    pages = [page["productSearchResults"]["results"] for page in (first, second)]
    assert [*pages[0], *pages[1]] == results[:4]


def test_confidence_is_that_of_the_best_result_whichever_page_is_shown(
    calibrated: RunningFunction,
) -> None:
    first = answer(calibrated, pageSize=1)
    assert first["productSearchResults"]["results"][0]["score"] > CALIBRATION.score_threshold
    assert first["noConfidentMatch"] is False
    last = answer(calibrated, pageSize=1, pageToken=first["nextPageToken"])
    assert last["noConfidentMatch"] is False


def test_nothing_found_is_no_confident_match(calibrated: RunningFunction) -> None:
    nothing = answer(calibrated, filter="shape=hexagonal")
    assert nothing["productSearchResults"]["results"] == []
    assert nothing["noConfidentMatch"] is True


def test_the_index_states_what_was_measured(calibrated: RunningFunction) -> None:
    told = calibrated.get("/v1/index").json()["calibration"]
    assert told == {
        "task": "query_to_catalog",
        "method": "platt",
        "queries": 400,
        "products": 40,
        "expectedCalibrationError": 0.02,
        "expectedCalibrationErrorLater": 0.001,
        "scoreThreshold": 0.5,
        "targetFalseMatchRate": 0.05,
        "falseMatchRate": 0.06,
        "falseNonMatchRate": 0.3,
        "confidence95": {"falseMatchRate": [0.04, 0.08]},
    }
    assert len(told) == len(asdict(CALIBRATION)) - 2


def test_without_a_calibration_nothing_is_claimed(running_function: RunningFunction) -> None:
    body = answer(running_function)
    assert "noConfidentMatch" not in body
    assert all("matchProbability" not in x for x in body["productSearchResults"]["results"])
    assert running_function.get("/v1/index").json()["calibration"] is None
