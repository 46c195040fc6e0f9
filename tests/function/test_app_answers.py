"""Facets and field masks of searches, over HTTP."""

from typing import Any

import pytest

from function.masks import (
    BROWSE_ANSWER,
    INDEX_ANSWER,
    PRODUCT_ANSWER,
    SEARCH_ANSWER,
    Shape,
)
from tests.answers import PHOTO
from tests.server import RunningFunction


def members(answer: Any, shape: Shape, path: str = "") -> set[str]:
    """The paths in an answer, as far down as the shape goes."""
    if isinstance(answer, list):
        return set().union(*(members(item, shape, path) for item in answer))
    found = set()
    for name, value in answer.items():
        here = f"{path}{name}"
        found |= {here}
        if shape.get(name):
            found |= members(value, shape[name], f"{here}.")
    return found


def known(shape: Shape, path: str = "") -> set[str]:
    found = set()
    for name, below in shape.items():
        found |= {f"{path}{name}"} | known(below, f"{path}{name}.")
    return found


def test_masks_know_every_member_of_an_answer_and_no_other(
    running_function: RunningFunction,
) -> None:
    # Of a release that is calibrated, and of one whose scores cannot be explained.
    others = {
        "noConfidentMatch",
        "productSearchResults.results.matchProbability",
        "explanationUnavailable",
    }
    # Groups are results, too, of which neither is told.
    grouped = "productSearchResults.productGroupedResults.results."
    others |= {f"{grouped}matchProbability", f"{grouped}explanation"}
    others |= {f"{grouped}explanation.photo", f"{grouped}explanation.product"}
    refused = {f"refusedRelease{member}" for member in ("", ".release", ".reason", ".time")}
    # Neither asks for what the other does.
    searched = [
        running_function.search(PHOTO, imagesPerProduct=2, facets="shape", **fields)
        for fields in ({"explain": "true"}, {"maxObjects": 1})
    ]
    for answers, shape, absent in (
        (searched, SEARCH_ANSWER, others),
        ([running_function.get("/v1/products?facets=shape")], BROWSE_ANSWER, set()),
        ([running_function.get("/v1/products/p1")], PRODUCT_ANSWER, set()),
        # Of a function that has refused no release.
        ([running_function.get("/v1/index")], INDEX_ANSWER, refused),
    ):
        told = set().union(*(members(answer.json(), shape) for answer in answers))
        assert told == known(shape) - absent


def test_a_mask_chooses_from_a_search(running_function: RunningFunction) -> None:
    whole = running_function.search(PHOTO).json()
    results = whole["productSearchResults"]["results"]
    paths = "productSearchResults.results.product.name,productSearchResults.results.score"
    answer = running_function.search(PHOTO, fields=[paths, "nextPageToken"])
    assert answer.json() == {
        "productSearchResults": {
            "results": [
                {"product": {"name": result["product"]["name"]}, "score": result["score"]}
                for result in results
            ]
        },
        "nextPageToken": "",
    }


def test_a_mask_that_leads_nowhere_is_refused(running_function: RunningFunction) -> None:
    answer = running_function.search(PHOTO, fields="nextPageToken,results.score")
    error = answer.json()["error"]
    assert (answer.status, error["details"][0]["reason"]) == (400, "FIELD_MASK_INVALID")
    assert error["details"][0]["metadata"] == {"field": "fields", "path": "results.score"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"round": 3, "square": 3}),
        ({"pageSize": 1}, {"round": 3, "square": 3}),
        ({"productSet": "first"}, {"square": 2, "round": 1}),
        ({"filter": "shape=round"}, {"round": 3}),
        ({"excludeProductIds": ["p1", "p3"]}, {"square": 3, "round": 1}),
        ({"filter": "shape=oval"}, {}),
        ({"scoreThreshold": 1}, {}),
    ],
)
def test_facets_count_what_is_selected(
    running_function: RunningFunction, fields: dict[str, Any], expected: dict[str, int]
) -> None:
    answer = running_function.search(PHOTO, facets="shape", **fields)
    assert answer.json()["facets"] == [
        {
            "key": "shape",
            "values": [{"value": value, "count": count} for value, count in expected.items()],
        }
    ]


def test_facets_count_what_reaches_a_threshold_on_every_page(
    running_function: RunningFunction,
) -> None:
    whole = running_function.search(PHOTO).json()["productSearchResults"]["results"]
    threshold = whole[3]["score"] - 1e-6
    shapes = [result["product"]["productLabels"][0]["value"] for result in whole[:4]]
    fields = {"scoreThreshold": threshold, "facets": ["shape"], "pageSize": 1}
    first = running_function.search(PHOTO, **fields).json()
    (facet,) = first["facets"]
    counts = {item["value"]: item["count"] for item in facet["values"]}
    assert counts == {shape: shapes.count(shape) for shape in shapes}
    # A token is for the photo and what selects, whatever is counted or shown.
    token = first["nextPageToken"]
    other = running_function.search(PHOTO, **fields | {"pageToken": token, "fields": "facets"})
    assert other.json() == {"facets": first["facets"]}
