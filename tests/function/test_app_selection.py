"""Which products an answer holds, over HTTP: filters, categories, sets, and page after page."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from function.paging import pages_of
from tests.releases import draw_photo
from tests.server import Answer, RunningFunction


def picture(product: int) -> bytes:
    output = BytesIO()
    draw_photo(product, 2).save(output, "JPEG")
    return output.getvalue()


PHOTO = picture(1)


def found(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    results = answer.json()["productSearchResults"]["results"]
    return [result["product"]["name"].removeprefix("products/") for result in results]


def refused(answer: Answer) -> tuple[str, dict[str, str], str]:
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    (info,) = error["details"]
    return info["reason"], info["metadata"], error["message"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"filter": "shape=round"}, {"p1", "p3", "p5"}),
        ({"filter": "NOT shape=round"}, {"p0", "p2", "p4"}),
        ({"filter": "(shape=round OR shape=square) AND shape=round"}, {"p1", "p3", "p5"}),
        ({"filter": "shape=Round"}, set()),
        ({"filter": "colour=red"}, set()),
        ({"productSet": "first"}, {"p0", "p1", "p2"}),
        ({"productSet": "productSets/first"}, {"p0", "p1", "p2"}),
        ({"productSet": "second"}, set()),
        ({"productCategories": ["shapes", "shoes"]}, {"p0", "p1", "p2", "p3", "p4", "p5"}),
        ({"productCategories": ["shoes"]}, set()),
        (
            {
                "filter": "shape=square",
                "productSet": "first",
                "productCategories": ["shapes"],
                "excludeProductIds": ["p2"],
            },
            {"p0"},
        ),
    ],
)
def test_only_what_is_selected_is_found_in_either_form(
    running_function: RunningFunction, fields: dict[str, Any], expected: set[str]
) -> None:
    by_form = running_function.search(PHOTO, **fields)
    image = {"content": b64encode(PHOTO).decode()}
    by_json = running_function.search_json({"image": image, **fields})
    assert found(by_form) == found(by_json)
    assert set(found(by_form)) == expected
    assert by_form.json()["nextPageToken"] == ""


def test_a_filter_takes_its_products_in_the_order_of_the_whole(
    running_function: RunningFunction,
) -> None:
    whole = found(running_function.search(PHOTO))
    odd = [name for name in whole if int(name[1:]) % 2]
    assert found(running_function.search(PHOTO, filter="shape=round", pageSize=2)) == odd[:2]


def test_a_wrong_filter_is_refused_at_its_character(running_function: RunningFunction) -> None:
    reason, metadata, message = refused(running_function.search(PHOTO, filter="shape=round and x"))
    assert reason == "FILTER_INVALID"
    assert metadata == {"field": "filter", "character": "13"}
    assert message == "filter: character 13: expected AND, OR or the end; found 'and x'."


def test_pages_follow_each_other_in_any_size_and_form(running_function: RunningFunction) -> None:
    whole = found(running_function.search(PHOTO))
    assert len(whole) == 6
    first = running_function.search(PHOTO, pageSize=2)
    token = first.json()["nextPageToken"]
    image = {"content": b64encode(PHOTO).decode()}
    second = running_function.search_json({"image": image, "pageSize": 3, "pageToken": token})
    token = second.json()["nextPageToken"]
    last = running_function.search(PHOTO, pageToken=token)
    assert [found(answer) for answer in (first, second, last)] == [whole[:2], whole[2:5], whole[5:]]
    assert last.json()["nextPageToken"] == ""
    assert running_function.search(PHOTO, pageSize=6).json()["nextPageToken"] == ""


def test_a_token_goes_with_its_photo_and_fields(running_function: RunningFunction) -> None:
    fields = {"pageSize": 1, "filter": "shape=round"}
    token = running_function.search(PHOTO, **fields).json()["nextPageToken"]
    assert token
    for answer in (
        running_function.search(picture(2), **fields, pageToken=token),
        running_function.search(PHOTO, pageSize=1, pageToken=token),
        running_function.search(PHOTO, **fields, pageToken=token, collapseDuplicates="true"),
        running_function.search(PHOTO, **fields, pageToken=token[:-1]),
    ):
        reason, metadata, _ = refused(answer)
        assert (reason, metadata) == ("PAGE_TOKEN_INVALID", {"field": "pageToken"})


def test_a_token_of_an_older_index_says_so(running_function: RunningFunction) -> None:
    token = pages_of("older", np.zeros((1, 1, 3), np.uint8), ()).token(2)
    reason, metadata, message = refused(running_function.search(PHOTO, pageToken=token))
    version = running_function.get("/v1/index").json()["indexVersion"]
    assert reason == "PAGE_TOKEN_EXPIRED"
    assert metadata["indexVersion"] == version
    assert version in message


def test_the_index_lists_its_categories_sets_and_keys_of_labels(
    running_function: RunningFunction,
) -> None:
    index = running_function.get("/v1/index").json()
    assert index["productCategories"] == ["shapes"]
    assert index["productSets"] == ["first"]
    assert index["labelKeys"] == ["shape"]
