"""Google Vision's words: read as its clients send them, answered as they read them."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from function.errors import BadRequest
from function.vision import MAX_IMAGES, parse_batch, parse_item, translate
from tests.function.test_app import PHOTO, assert_refused, results
from tests.function.test_overload import LARGE
from tests.releases import TinyRelease
from tests.server import Answer, RunningFunction, run_function
from tests.waiting import eventually

LOCATION = "projects/shop-1/locations/europe-west1"
CONTENT = base64.b64encode(PHOTO).decode()
SEARCH = {"type": "PRODUCT_SEARCH"}


def item(feature: dict[str, Any] = SEARCH, content: str = CONTENT, **params: Any) -> dict[str, Any]:
    """A request for one image, as Vision's documentation has it."""
    asked: dict[str, Any] = {"image": {"content": content}, "features": [feature]}
    return asked | ({"imageContext": {"productSearchParams": params}} if params else {})


def annotate(running: RunningFunction, *items: object, **batch: Any) -> Answer:
    body = json.dumps({"requests": items, **batch}).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return running.request("POST", "/v1/images:annotate", body, headers)


def responses(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    (told,) = answer.json().items()
    assert told[0] == "responses"
    return list(told[1])


# -- reading


def test_a_request_of_googles_python_client_is_read() -> None:
    """As google-cloud-vision 3.16 sends it by REST: numbers for enumerations, no zeros."""
    sent = {
        "image": {"content": "AAAA"},
        "features": [{"type": 12, "maxResults": 3}],
        "imageContext": {
            "productSearchParams": {
                "boundingPoly": {
                    "normalizedVertices": [{}, {"x": 1.0}, {"x": 1.0, "y": 0.9}, {"y": 0.9}]
                },
                "productSet": f"{LOCATION}/productSets/first",
                "productCategories": ["shapes"],
                "filter": "(color = red OR color = blue) AND brand = Google",
            }
        },
    }
    polygon = {
        "normalizedVertices": [
            {"x": 0, "y": 0},
            {"x": 1.0, "y": 0},
            {"x": 1.0, "y": 0.9},
            {"x": 0, "y": 0.9},
        ]
    }
    search, region, location = translate(sent)
    assert search == {
        "image": {"content": "AAAA"},
        "pageSize": 3,
        "productSet": "first",
        "productCategories": ["shapes"],
        "filter": "(color = red OR color = blue) AND brand = Google",
        "boundingPoly": polygon,
    }
    assert (region, location) == (polygon, LOCATION)


def test_what_is_left_open_or_null_has_our_defaults() -> None:
    plain = parse_item(item(), "")
    spelt = item({"type": "PRODUCT_SEARCH", "maxResults": 0, "model": "builtin/latest"})
    spelt["imageContext"] = {"productSearchParams": {"productSet": None}, "languageHints": ["en"]}
    assert parse_item(spelt, "") == plain
    assert plain.search.page_size == 10
    assert [list(vertex.values()) for vertex in plain.region["normalizedVertices"]] == [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
    ]


def test_more_results_than_there_can_be_are_as_many_as_there_can_be() -> None:
    assert parse_item(item({"type": 12, "maxResults": 500}), "").search.page_size == 100


@pytest.mark.parametrize(
    ("image", "read"),
    [
        ({"source": {"gcsImageUri": "gs://a/b"}}, "gs://a/b"),
        ({"source": {"imageUri": "gs://a/b"}}, "gs://a/b"),
        ({"source": {"imageUri": "gs://a/b", "gcsImageUri": "gs://c/d"}}, "gs://a/b"),
        ({"content": "AAAA", "source": {"imageUri": "gs://a/b"}}, b"\0\0\0"),
        ({"content": "", "source": {"imageUri": "gs://a/b"}}, "gs://a/b"),
    ],
)
def test_of_several_sources_the_one_that_vision_would_read_is_read(
    image: dict[str, Any], read: str | bytes
) -> None:
    search = parse_item({"image": image, "features": [SEARCH]}, "").search
    assert read in (search.content, search.image_uri)


@pytest.mark.parametrize(
    ("product_set", "parent", "named"),
    [
        (f"{LOCATION}/productSets/first", "", LOCATION),
        (f"{LOCATION}/productSets/first", "projects/p/locations/l", LOCATION),
        ("first", LOCATION, LOCATION),
        ("productSets/first", "", ""),
        ("first", "", ""),
        ("first", "projects/shop-1", ""),
    ],
)
def test_products_are_named_where_the_client_named_its_set(
    product_set: str, parent: str, named: str
) -> None:
    batch = parse_batch({"requests": [item(productSet=product_set)], "parent": parent})
    (value,) = batch.items
    read = parse_item(value, batch.parent)
    assert (read.search.selection.product_set, read.parent) == ("first", named)


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        (item({"type": "LABEL_DETECTION"}), "FEATURE_UNSUPPORTED", "found 'LABEL_DETECTION'"),
        (item({"type": 4}), "FEATURE_UNSUPPORTED", "found '4'"),
        (item({}), "FEATURE_UNSUPPORTED", "features[].type: expected PRODUCT_SEARCH"),
        (item() | {"features": []}, "FIELD_INVALID", "features: expected one"),
        (item() | {"features": [SEARCH, SEARCH]}, "FIELD_INVALID", "features: expected one"),
        (item({"type": 12, "maxResults": -1}), "FIELD_INVALID", "maxResults"),
        (item({"type": 12, "maxResults": True}), "FIELD_INVALID", "maxResults"),
        (item({"type": 12, "maxResult": 3}), "FIELD_UNKNOWN", "Known are type, maxResults"),
        (item(product_set="first"), "FIELD_UNKNOWN", "product_set"),
        (item(filter="color:red"), "FILTER_INVALID", "filter: character"),
        (item(productCategories="shapes"), "FIELD_INVALID", "productCategories"),
        (item(productSet=7), "FIELD_INVALID", "productSet"),
        (item(boundingPoly=[]), "FIELD_INVALID", "boundingPoly"),
        (item(content="ä"), "FIELD_INVALID", "image.content"),
        (item() | {"image": {}}, "IMAGE_MISSING", "image: expected a photo"),
        ({"features": [SEARCH]}, "IMAGE_MISSING", "image: expected a photo"),
        (item() | {"image": {"source": {}}}, "FIELD_INVALID", "image.source.imageUri"),
        (item() | {"image": "x"}, "FIELD_INVALID", "image: expected an object"),
        (item() | {"imageContext": 1}, "FIELD_INVALID", "imageContext: expected an object"),
        ("photo", "FIELD_INVALID", "requests[]: expected an object"),
    ],
)
def test_what_cannot_be_asked_is_named(value: object, reason: str, message: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse_item(value, "")
    assert error.value.reason == reason
    assert message in error.value.message


# -- the real server


def test_it_finds_what_a_search_finds_under_visions_names(
    running_function: RunningFunction,
) -> None:
    params = {"productSet": f"{LOCATION}/productSets/first", "filter": "shape = square"}
    answer = annotate(running_function, item({"type": 12, "maxResults": 2}, **params))
    (response,) = responses(answer)
    found = response["productSearchResults"]
    searched = running_function.search(PHOTO, pageSize=2, productSet="first", filter="shape=square")
    ours = results(searched)
    assert found["indexTime"] == searched.json()["productSearchResults"]["indexTime"]
    assert [x["score"] for x in found["results"]] == [x["score"] for x in ours]
    for theirs, our in zip(found["results"], ours, strict=True):
        assert theirs["product"] == our["product"] | {
            "name": f"{LOCATION}/{our['product']['name']}"
        }
        assert theirs["image"] == f"{LOCATION}/{our['image']}"
    (group,) = found["productGroupedResults"]
    assert group["results"] == found["results"]
    assert len(group["boundingPoly"]["normalizedVertices"]) == 4


def test_images_are_answered_in_their_order_and_a_bad_one_spoils_no_other(
    running_function: RunningFunction,
) -> None:
    turned = BytesIO()
    Image.open(BytesIO(PHOTO)).rotate(180).save(turned, "PNG")
    other = base64.b64encode(turned.getvalue()).decode()
    no_photo = base64.b64encode(b"It was a dark and stormy night.").decode()
    answer = annotate(
        running_function,
        item(content=no_photo),
        item(),
        item({"type": "FACE_DETECTION"}),
        {
            "image": {"source": {"imageUri": "https://elsewhere.example/a.jpg"}},
            "features": [SEARCH],
        },
        item(content=other),
        None,
    )
    told = responses(answer)
    errors = [x["error"]["reason"] if "error" in x else None for x in told]
    assert errors == [
        "IMAGE_TYPE_UNSUPPORTED",
        None,
        "FEATURE_UNSUPPORTED",
        "IMAGE_SOURCE_NOT_ALLOWED",
        None,
        "FIELD_INVALID",
    ]
    for response in told:
        assert len(response) == 1
        if error := response.get("error"):
            assert (error["code"], error["status"]) == (3, "INVALID_ARGUMENT")
            assert error["message"]
    for response, photo in ((told[1], PHOTO), (told[4], turned.getvalue())):
        ours = results(running_function.search(photo))
        assert response["productSearchResults"]["results"] == ours


def test_sixteen_images_are_answered_and_seventeen_refused(
    running_function: RunningFunction,
) -> None:
    one, *others = responses(annotate(running_function, *[item()] * MAX_IMAGES))
    assert len(others) == MAX_IMAGES - 1
    assert all(other == one for other in others)
    for items in ([item()] * (MAX_IMAGES + 1), []):
        assert_refused(annotate(running_function, *items), 400, "FIELD_INVALID")


def test_a_body_that_is_none_is_refused_as_a_whole(running_function: RunningFunction) -> None:
    assert_refused(annotate(running_function, item(), request=1), 400, "FIELD_UNKNOWN")
    for body, kind, status, reason in (
        (b"", "application/json", 400, "REQUEST_EMPTY"),
        (b"{", "application/json", 400, "JSON_INVALID"),
        (b"[]", "application/json", 400, "JSON_INVALID"),
        (b"{}", "text/plain", 415, "CONTENT_TYPE_UNSUPPORTED"),
        (b"{}", "application/json", 400, "FIELD_INVALID"),
    ):
        answer = running_function.request(
            "POST", "/v1/images:annotate", body, {"Content-Type": kind}
        )
        assert_refused(answer, status, reason)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
ANY_ITEM = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "image": VALUES | st.fixed_dictionaries({}, optional={"content": VALUES, "source": VALUES}),
        "features": VALUES | st.just([SEARCH]) | st.lists(st.fixed_dictionaries({"type": VALUES})),
        "imageContext": VALUES
        | st.fixed_dictionaries(
            {},
            optional={
                "productSearchParams": VALUES
                | st.dictionaries(
                    st.sampled_from(["productSet", "filter", "productCategories", "boundingPoly"]),
                    VALUES,
                )
            },
        ),
    },
)


@settings(max_examples=60)
@given(st.lists(ANY_ITEM, min_size=1, max_size=4))
def test_whatever_is_asked_of_an_image_its_neighbour_is_answered(
    running_function: RunningFunction, items: list[object]
) -> None:
    *others, last = responses(annotate(running_function, *items, item()))
    assert len(others) == len(items)
    assert all(("error" in x) != ("productSearchResults" in x) for x in others)
    assert "productSearchResults" in last


# -- in turn with others


def test_a_full_queue_refuses_all_and_who_was_let_in_is_not_refused_any_more(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    chosen = {"max_running": "1", "max_waiting": "1", "deadline_seconds": "60", "threads": "16"}
    # Blanks take a while to be read over: enough for others to take the batch's place meanwhile.
    slowly_read = item(content=base64.b64encode(LARGE).decode() + " " * 3_000_000)
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root), **chosen) as running:
        running.wait_until_ready()
        with ThreadPoolExecutor(5) as pool:
            batch = pool.submit(annotate, running, *[slowly_read] * 6)
            eventually(lambda: running.metric("lookalike_searches_running ") == 1)

            def ask_until_it_is_answered(_: int) -> list[Answer]:
                answers = []
                while not batch.done():
                    answers.append(annotate(running, item()))
                return answers

            others = [pool.submit(ask_until_it_is_answered, number) for number in range(4)]
            answers = [answer for other in others for answer in other.result()]
        assert all("productSearchResults" in x for x in responses(batch.result()))
        refused = [answer for answer in answers if answer.status != 200]
        assert refused
        for answer in refused:
            assert_refused(answer, 429, "QUEUE_FULL")
            assert int(answer.headers["Retry-After"]) >= 1


def test_a_batch_that_takes_too_long_is_answered_504(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    with run_function(log, root=str(tiny_release.root), deadline_seconds="0.001") as running:
        running.wait_until_ready()
        content = base64.b64encode(LARGE).decode()
        answer = annotate(running, *[item(content=content)] * 3)
        assert_refused(answer, 504, "DEADLINE_EXCEEDED")
