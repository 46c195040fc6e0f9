"""The catalogue page by page, over HTTP."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.server import Answer, RunningFunction


def browse(running: RunningFunction, **parameters: Any) -> Answer:
    return running.get("/v1/products?" + urlencode(parameters, doseq=True))


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [product["name"].removeprefix("products/") for product in answer.json()["products"]]


def reason(answer: Answer) -> str:
    assert answer.status == 400, answer.body
    told: str = answer.json()["error"]["details"][0]["reason"]
    return told


def test_all_products_come_in_the_publishers_order(running_function: RunningFunction) -> None:
    answer = running_function.get("/v1/products")
    body = answer.json()
    assert body.keys() == {"products", "totalSize", "nextPageToken"}
    assert names(answer) == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert (body["totalSize"], body["nextPageToken"]) == (6, "")
    first = body["products"][0]
    alone = running_function.get("/v1/products/p0").json()
    (photo, *_) = alone.pop("images")
    assert first == {**alone, **photo}


def test_pages_follow_each_other(running_function: RunningFunction) -> None:
    first = browse(running_function, pageSize=4)
    token = first.json()["nextPageToken"]
    second = browse(running_function, pageSize=1, pageToken=token)
    last = browse(running_function, pageToken=second.json()["nextPageToken"])
    assert [names(x) for x in (first, second, last)] == [["p0", "p1", "p2", "p3"], ["p4"], ["p5"]]
    assert last.json()["nextPageToken"] == ""
    assert {x.json()["totalSize"] for x in (first, second, last)} == {6}
    other = browse(running_function, filter="shape=round", pageToken=token)
    assert reason(other) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"filter": "shape=round"}, ["p1", "p3", "p5"]),
        ({"filter": "shape=round", "productSet": "first"}, ["p1"]),
        ({"productSet": "productSets/first"}, ["p0", "p1", "p2"]),
        ({"productCategories": ["shoes", "shapes"], "pageSize": 2}, ["p0", "p1"]),
        ({"productCategories": "shoes"}, []),
        ({"key": "whoever asks", "productSet": "first"}, ["p0", "p1", "p2"]),
    ],
)
def test_only_what_is_selected_is_listed(
    running_function: RunningFunction, parameters: dict[str, Any], expected: list[str]
) -> None:
    assert names(browse(running_function, **parameters)) == expected


def test_facets_count_all_that_match(running_function: RunningFunction) -> None:
    answer = browse(
        running_function, productSet="first", pageSize=1, facets=["shape", "productCategory", "no"]
    )
    assert names(answer) == ["p0"]
    assert answer.json()["facets"] == [
        {
            "key": "shape",
            "values": [{"value": "square", "count": 2}, {"value": "round", "count": 1}],
        },
        {"key": "productCategory", "values": [{"value": "shapes", "count": 3}]},
        {"key": "no", "values": []},
    ]


def test_a_mask_chooses(running_function: RunningFunction) -> None:
    answer = browse(running_function, fields="products.name,totalSize", pageSize=1)
    assert answer.json() == {"products": [{"name": "products/p0"}], "totalSize": 6}
    product = running_function.get("/v1/products/p0?fields=price,images.image")
    assert product.json() == {
        "price": "0.00 EUR",
        "images": [
            {"image": image["image"]}
            for image in running_function.get("/v1/products/p0").json()["images"]
        ],
    }
    assert running_function.get("/v1/index?fields=counts").json().keys() == {"counts"}


def test_it_can_be_kept_and_asked_for_again(running_function: RunningFunction) -> None:
    for path in ("/v1/products?pageSize=2", "/v1/products?fields=totalSize", "/v1/index?fields=*"):
        first = running_function.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        again = running_function.get(path, **{"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
        head = running_function.request("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(first.body))
    whole, part = (running_function.get(f"/v1/products?pageSize={n}") for n in (6, 2))
    assert whole.headers["ETag"] != part.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/products?color=red", "FIELD_UNKNOWN"),
        ("/v1/products?pageSize=0", "FIELD_INVALID"),
        ("/v1/products?filter=color", "FILTER_INVALID"),
        ("/v1/products?pageToken=x", "PAGE_TOKEN_INVALID"),
        ("/v1/products?fields=name", "FIELD_MASK_INVALID"),
        ("/v1/products/p0?fields=products", "FIELD_MASK_INVALID"),
        ("/v1/products/p0?field=name", "FIELD_UNKNOWN"),
        ("/v1/index?fields=counts.all", "FIELD_MASK_INVALID"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    running_function: RunningFunction, path: str, expected: str
) -> None:
    assert reason(running_function.get(path)) == expected
