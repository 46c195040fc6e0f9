"""Similar products, over HTTP: whatever a product is called."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from tests.releases import IMAGE_SIZE, TinyRelease
from tests.server import Answer, RunningFunction, run_function
from tests.waiting import eventually
from trainer.data.records import Catalog


def similar(running: RunningFunction, product_id: str, body: Any = None) -> Answer:
    path = f"/v1/products/{quote(product_id)}:similar"
    if body is None:
        return running.request("POST", path, b"")
    data = json.dumps(body).encode()
    return running.request("POST", path, data, {"Content-Type": "application/json"})


def found(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    results = answer.json()["productSearchResults"]["results"]
    return [result["product"]["name"].removeprefix("products/") for result in results]


def reason(answer: Answer) -> str:
    told: str = answer.json()["error"]["details"][0]["reason"]
    return told


def test_the_answer_is_that_of_a_search_without_the_product(
    running_function: RunningFunction,
) -> None:
    answer = similar(running_function, "p1")
    assert sorted(found(answer)) == ["p0", "p2", "p3", "p4", "p5"]
    body = answer.json()
    assert body["timingsMs"].keys() >= {"parse", "queue", "search"}
    assert not body["timingsMs"].keys() & {"decode", "embed"}
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    scores = [result["score"] for result in body["productSearchResults"]["results"]]
    assert scores == sorted(scores, reverse=True)
    assert found(similar(running_function, "p1", {})) == found(answer)


def test_it_is_narrowed_paged_counted_and_masked(running_function: RunningFunction) -> None:
    whole = found(similar(running_function, "p1"))
    fields = {"filter": "shape=square", "facets": ["shape"], "pageSize": 2}
    first = similar(running_function, "p1", fields)
    token = first.json()["nextPageToken"]
    rest = similar(running_function, "p1", {**fields, "pageToken": token})
    squares = [name for name in whole if int(name[1:]) % 2 == 0]
    assert found(first) + found(rest) == squares
    facets = [{"key": "shape", "values": [{"value": "square", "count": 3}]}]
    assert first.json()["facets"] == facets
    assert similar(running_function, "p1", {**fields, "fields": "facets"}).json() == {
        "facets": facets
    }
    other = similar(running_function, "p3", {**fields, "pageToken": token})
    assert reason(other) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("product_id", "body", "status", "expected"),
    [
        ("p9", None, 404, "PRODUCT_NOT_FOUND"),
        ("p1:similar", {}, 404, "PRODUCT_NOT_FOUND"),
        ("p1", {"image": {"content": ""}}, 400, "FIELD_UNKNOWN"),
        ("p1", {"boundingPoly": {}}, 400, "FIELD_UNKNOWN"),
        ("p1", {"fields": "score"}, 400, "FIELD_MASK_INVALID"),
        ("p1", [], 400, "JSON_INVALID"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    running_function: RunningFunction, product_id: str, body: Any, status: int, expected: str
) -> None:
    answer = similar(running_function, product_id, body)
    assert (answer.status, reason(answer)) == (status, expected)


def test_only_post_searches(running_function: RunningFunction) -> None:
    got = running_function.get("/v1/products/p1:similar")
    assert (got.status, reason(got)) == (404, "PRODUCT_NOT_FOUND")
    removed = running_function.request("DELETE", "/v1/products/p1:similar")
    assert (removed.status, reason(removed)) == (405, "METHOD_NOT_ALLOWED")
    assert removed.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    other = running_function.request("POST", "/v1/products/p1", b"")
    assert (other.status, reason(other)) == (405, "METHOD_NOT_ALLOWED")


def test_it_waits_for_its_turn_as_a_photo_does_and_browsing_does_not(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    file = BytesIO()
    Image.new("RGB", (7000, 7000)).save(file, "PNG")
    settings = {"root": str(tiny_release.root), "max_running": "1", "max_waiting": "1"}
    with run_function(tmp_path / "log.txt", **settings) as running, ThreadPoolExecutor(2) as pool:
        running.wait_until_ready()
        photos = [pool.submit(running.search, file.getvalue()) for _ in range(2)]
        eventually(lambda: b"lookalike_searches_waiting 1" in running.get("/metrics").body)
        refused = similar(running, "p1")
        browsed = running.get("/v1/products")
        assert (refused.status, reason(refused)) == (429, "QUEUE_FULL")
        assert browsed.status == 200
        assert [photo.result().status for photo in photos] == [200, 200]
        assert similar(running, "p1").status == 200


ODD = ["a/b:c", "x:similar", "x", "ünï çödé?#&+ %2F", "similar"]


@pytest.fixture(scope="module")
def oddly_named(
    tiny_release: TinyRelease, tiny_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    """A shop whose product ids are hard to put into an address."""
    # JAX takes seconds to import.
    from trainer.release.publish import publish

    names = {f"p{number}": name for number, name in enumerate(ODD)}
    photos = tuple(
        replace(photo, product_id=names[photo.product_id])
        for photo in tiny_catalog.photos
        if photo.product_id in names and photo.role == "catalog"
    )
    folder = tmp_path_factory.mktemp("odd")
    catalog = replace(tiny_catalog, photos=photos)
    publish(
        tiny_release.model,
        IMAGE_SIZE,
        catalog,
        str(folder / "root"),
        evaluation={},
        precision="float",
    )
    with run_function(folder / "log.txt", root=str(folder / "root")) as running:
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize("name", ODD)
def test_ids_may_hold_slashes_and_colons(oddly_named: RunningFunction, name: str) -> None:
    others = sorted(set(ODD) - {name})
    assert sorted(found(similar(oddly_named, name))) == others
    assert oddly_named.get(f"/v1/products/{quote(name)}").json()["name"] == f"products/{name}"
    # As browsers escape it: slash and colon too.
    path = f"/v1/products/{quote(name, safe='')}"
    assert oddly_named.get(path).json()["name"] == f"products/{name}"
    assert sorted(found(oddly_named.request("POST", f"{path}:similar", b""))) == others
