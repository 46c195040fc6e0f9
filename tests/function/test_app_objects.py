"""Things in a photo are found and searched for, over HTTP."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.answers import assert_refused, results
from tests.releases import TinyRelease, draw_photo
from tests.server import Answer, RunningFunction, run_function
from trainer.data.records import Catalog

# Four rows and columns of positions.
SIZE = 128


@pytest.fixture(scope="module")
def running(
    tiny_release: TinyRelease, tiny_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    """The tiny shop, whose network takes larger photos."""
    # JAX takes seconds to import.
    from trainer.release.publish import publish

    folder = tmp_path_factory.mktemp("objects")
    root = str(folder / "root")
    publish(tiny_release.model, SIZE, tiny_catalog, root, evaluation={}, precision="float")
    with run_function(folder / "log.txt", root=root) as running:
        running.wait_until_ready()
        yield running


def encoded(image: Image.Image) -> bytes:
    output = BytesIO()
    image.save(output, "PNG")
    return output.getvalue()


def side_by_side() -> bytes:
    """Product 1 on the left, product 4 on the right."""
    image = Image.new("RGB", (800, 300))
    for place, product in enumerate((1, 4)):
        image.paste(draw_photo(product, 2), (400 * place, 0))
    return encoded(image)


BOTH = side_by_side()


def groups(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json()["productSearchResults"]["productGroupedResults"]
    return found


def scores(found: list[dict[str, Any]]) -> dict[str, float]:
    return {result["product"]["name"]: result["score"] for result in found}


def test_each_group_is_what_its_polygon_finds_and_a_product_has_its_best_score(
    running: RunningFunction,
) -> None:
    answer = running.search(BOTH, maxObjects=3)
    found = groups(answer)
    assert 1 <= len(found) <= 3
    best = scores(results(running.search(BOTH)))
    for group in found:
        polygon = json.dumps(group["boundingPoly"])
        assert group["results"] == results(running.search(BOTH, boundingPoly=polygon))
        for name, score in scores(group["results"]).items():
            best[name] = max(best[name], score)
    assert scores(results(answer)) == best
    ordered = list(scores(results(answer)).values())
    assert ordered == sorted(ordered, reverse=True)
    assert answer.json()["timingsMs"].keys() >= {"decode", "detect", "embed", "search"}


def test_nobody_who_does_not_ask_gets_groups(running: RunningFunction) -> None:
    plain = running.search(BOTH)
    assert plain.json()["productSearchResults"].keys() == {"indexTime", "results"}
    assert results(running.search(BOTH, maxObjects=0)) == results(plain)


def test_later_pages_go_on_by_the_same_things(running: RunningFunction) -> None:
    whole = results(running.search(BOTH, maxObjects=2))
    first = running.search(BOTH, maxObjects=2, pageSize=4)
    token = first.json()["nextPageToken"]
    second = running.search(BOTH, maxObjects=2, pageSize=4, pageToken=token)
    assert results(first) + results(second) == whole
    assert "productGroupedResults" not in second.json()["productSearchResults"]
    assert_refused(running.search(BOTH, pageToken=token), 400, "PAGE_TOKEN_INVALID")


def test_groups_hold_to_what_may_be_found_and_to_the_mask(running: RunningFunction) -> None:
    paths = "productSearchResults.productGroupedResults.results.product.name"
    answer = running.search(BOTH, maxObjects=3, filter="shape=round", pageSize=2, fields=paths)
    for group in groups(answer):
        assert group.keys() == {"results"}
        names = [result["product"]["name"] for result in group["results"]]
        assert len(names) == 2
        assert set(names) <= {"products/p1", "products/p3", "products/p5"}


@pytest.mark.parametrize(
    "fields",
    [
        {"maxObjects": 5},
        {"maxObjects": -1},
        {"maxObjects": "all"},
        {"maxObjects": 1, "explain": "true"},
        {"maxObjects": 1, "boundingPoly": '{"vertices": [{"x": 9}, {"x": 90}, {"y": 90}]}'},
    ],
)
def test_what_does_not_go_together_is_refused(
    running: RunningFunction, fields: dict[str, Any]
) -> None:
    assert_refused(running.search(BOTH, **fields), 400, "FIELD_INVALID")


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (16, 1)])
def test_of_a_tiny_photo_no_part_is_less_than_a_pixel(
    running: RunningFunction, size: tuple[int, int]
) -> None:
    photo = encoded(Image.open(BytesIO(BOTH)).resize(size))
    assert len(results(running.search(photo, maxObjects=4))) == 6


def annotate(running: RunningFunction, **params: Any) -> dict[str, Any]:
    item = {
        "image": {"content": base64.b64encode(BOTH).decode()},
        "features": [{"type": "PRODUCT_SEARCH"}],
        "imageContext": {"productSearchParams": params},
    }
    body = json.dumps({"requests": [item]}).encode()
    headers = {"Content-Type": "application/json"}
    answer = running.request("POST", "/v1/images:annotate", body, headers)
    (response,) = answer.json()["responses"]
    found: dict[str, Any] = response["productSearchResults"]
    return found


def test_visions_clients_get_a_group_for_each_thing_too(running: RunningFunction) -> None:
    product_set = "projects/p/locations/l/productSets/first"
    found = annotate(running, maxObjects=3, productSet=product_set)
    ours = groups(running.search(BOTH, maxObjects=3, productSet="first"))
    assert [x["boundingPoly"] for x in found["productGroupedResults"]] == [
        x["boundingPoly"] for x in ours
    ]
    for theirs, our in zip(found["productGroupedResults"], ours, strict=True):
        assert scores(theirs["results"]) == {
            f"projects/p/locations/l/{name}": score
            for name, score in scores(our["results"]).items()
        }
    (whole,) = annotate(running)["productGroupedResults"]
    assert whole["results"] == results(running.search(BOTH))


def test_where_no_map_tells_things_apart_the_photo_is_one_group(
    running_function: RunningFunction,
) -> None:
    answer = running_function.search(BOTH, maxObjects=2)
    (group,) = groups(answer)
    assert group["results"] == results(answer) == results(running_function.search(BOTH))
    assert group["boundingPoly"]["normalizedVertices"][2] == {"x": 1, "y": 1}
    assert "1 by 1 positions" in answer.json()["objectsUnavailable"]


@pytest.mark.slow
def test_looking_for_things_ends_at_the_deadline(running: RunningFunction, tmp_path: Path) -> None:
    """Each thing is a part of a large PNG, which is decoded anew."""
    large = encoded(Image.open(BytesIO(BOTH)).resize((7000, 7000)))
    (first, *_) = groups(running.search(BOTH, maxObjects=4))
    assert {"x": 0.0, "y": 0.0} not in first["boundingPoly"]["normalizedVertices"]
    times = [running.search(large).json()["timingsMs"]["decode"] for _ in range(3)]
    whole = min(times) / 1000
    root = str(running.log.with_name("root"))
    with run_function(
        tmp_path / "log.txt", root=root, deadline_seconds=str(1.5 * whole)
    ) as bounded:
        bounded.wait_until_ready()
        assert_refused(bounded.search(large, maxObjects=4), 504, "DEADLINE_EXCEEDED")
