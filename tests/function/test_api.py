"""The wire format of requests: what is read, and how the rest is refused."""

import base64
import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3 import encode_multipart_formdata
from werkzeug.test import EnvironBuilder

from function import api
from function.api import SearchRequest, error_body, parse_search, parse_similar
from function.errors import BadRequest, FunctionError, Unavailable, UnsupportedImage
from function.fields import FIELDS
from function.filters import And, Label, Not, Selection
from function.masks import Mask
from function.region import Region

PHOTO = b"\xff\xd8\xff not decoded here \xfb\xef"
CONTENT = base64.b64encode(PHOTO).decode()


def as_json(body: object) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return as_request(data=data, content_type="application/json")


def as_form(**fields: Any) -> Request:
    parts = [
        (name, value)
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    body, content_type = encode_multipart_formdata(parts)
    return as_request(data=body, content_type=content_type)


def as_request(**options: Any) -> Request:
    with closing(EnvironBuilder(method="POST", path="/v1/products:search", **options)) as builder:
        environ = builder.get_environ()
        with closing(environ["wsgi.input"]) as body:
            return Request({**environ, "wsgi.input": BytesIO(body.read())})


def parse(request: Request) -> SearchRequest:
    with closing(request):
        return parse_search(request)


def file(data: bytes = PHOTO) -> tuple[str, bytes]:
    return "photo.jpg", data


def test_both_forms_say_the_same() -> None:
    selection = Selection(
        And((Label("color", "red"), Not(Label("style", "kids")))),
        frozenset({"shoes", "bags"}),
        "summer",
        frozenset({"a", "b,c"}),
    )
    expected = SearchRequest(
        PHOTO,
        "",
        page_size=3,
        page_token="next",  # noqa: S106 - a place, no secret
        score_threshold=0.25,
        images_per_product=2,
        selection=selection,
        collapse_duplicates=True,
        region=Region(0, 0.5, 1, 1, normalized=True),
        facets=("style", "productCategory"),
        mask=Mask({"facets": None, "nextPageToken": None}),
        explain=True,
    )
    polygon = {"normalizedVertices": [{"y": 0.5}, {"x": 1, "y": 0.5}, {"x": 1, "y": 1}]}
    form = as_form(
        image=file(),
        pageSize="3",
        pageToken="next",
        scoreThreshold="0.25",
        imagesPerProduct="2",
        filter="color=red AND NOT style=kids",
        productCategories=["shoes", "bags"],
        productSet="productSets/summer",
        collapseDuplicates="true",
        explain="true",
        excludeProductIds=["a", "products/b,c"],
        boundingPoly=json.dumps(polygon),
        facets=["style", "productCategory", "style"],
        fields=["facets", "nextPageToken"],
    )
    assert parse(form) == expected
    body = {
        "image": {"content": CONTENT},
        "pageSize": 3,
        "pageToken": "next",
        "scoreThreshold": 0.25,
        "imagesPerProduct": 2,
        "filter": "color=red AND NOT style=kids",
        "productCategories": ["bags", "shoes"],
        "productSet": "summer",
        "collapseDuplicates": True,
        "explain": True,
        "excludeProductIds": ["products/a", "b,c"],
        "boundingPoly": polygon,
        "facets": ["style", "productCategory"],
        "fields": "facets,nextPageToken",
    }
    assert parse(as_json(body)) == expected
    # A product is no photo that could be cut or explained.
    del body["image"], body["boundingPoly"], body["explain"]
    by_product = replace(expected, content=b"", product_id="a/b:c", region=None, explain=False)
    assert similar(as_json(body)) == by_product


def similar(request: Request) -> SearchRequest:
    with closing(request):
        return parse_similar(request, "a/b:c")


def test_a_search_by_product_needs_no_body() -> None:
    assert similar(as_request(data=b"")) == SearchRequest(product_id="a/b:c")
    assert similar(as_json({})) == SearchRequest(product_id="a/b:c")


@pytest.mark.parametrize(
    ("request_", "reason", "says"),
    [
        (lambda: as_json({"image": IMAGE}), "FIELD_UNKNOWN", "image. Known are pageSize, .*"),
        (lambda: as_json({"boundingPoly": {}}), "FIELD_UNKNOWN", "Unknown fields: boundingPoly"),
        (lambda: as_json({"pageSize": 0}), "FIELD_INVALID", "found 0"),
        (lambda: as_json([]), "JSON_INVALID", "expected a JSON object"),
        (lambda: as_form(pageSize="1"), "CONTENT_TYPE_UNSUPPORTED", "expected application/json"),
    ],
)
def test_what_a_search_by_product_cannot_say_is_named(
    request_: Callable[[], Request], reason: str, says: str
) -> None:
    with pytest.raises(FunctionError, match=says) as caught:
        similar(request_())
    assert caught.value.reason == reason


def test_only_the_photo_is_needed() -> None:
    assert parse(as_form(image=file())) == SearchRequest(PHOTO)
    assert parse(as_json({"image": {"content": CONTENT}})) == SearchRequest(PHOTO)
    source = {"image": {"source": {"imageUri": "gs://bucket/photo.jpg"}}}
    assert parse(as_json(source)) == SearchRequest(image_uri="gs://bucket/photo.jpg")


def test_every_field_is_documented() -> None:
    documented = re.findall(r"^    (\w+)  ", api.__doc__ or "", re.MULTILINE)
    assert documented == list(FIELDS)


def test_a_file_name_in_the_older_form_is_one_too() -> None:
    head = b"Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''gr%C3%BCn.jpg"
    body = b"--b\r\n" + head + b"\r\n\r\n" + PHOTO + b"\r\n--b--\r\n"
    request = as_request(data=body, content_type="multipart/form-data; boundary=b")
    assert parse(request) == SearchRequest(PHOTO)


def test_empty_text_is_an_absent_field() -> None:
    empty = {"filter": " ", "productSet": "", "pageToken": ""}
    assert parse(as_form(image=file(), **empty)) == SearchRequest(PHOTO)
    assert parse(as_json({"image": {"content": CONTENT}, **empty})) == SearchRequest(PHOTO)


@pytest.mark.parametrize(
    "text",
    [
        base64.urlsafe_b64encode(PHOTO).decode(),
        CONTENT.rstrip("="),
        "\n".join([CONTENT[:10], CONTENT[10:]]),
    ],
    ids=["url-safe", "no padding", "line breaks"],
)
def test_base64_is_read_as_google_writes_it(text: str) -> None:
    assert parse(as_json({"image": {"content": text}})).content == PHOTO


IMAGE = {"content": CONTENT}


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"", "REQUEST_EMPTY", "empty"),
        (b"{", "JSON_INVALID", "not valid JSON"),
        (b"\xff\xfe", "JSON_INVALID", "UTF-8"),
        (b'{"image": NaN}', "JSON_INVALID", "not valid JSON"),
        (b"[" * 100_000, "JSON_INVALID", "not valid JSON"),
        ([], "JSON_INVALID", "expected a JSON object; found a list"),
        ({}, "IMAGE_MISSING", "found none"),
        ({"image": None}, "IMAGE_MISSING", "found none"),
        ({"image": "x"}, "FIELD_INVALID", "image: expected an object; found 'x'"),
        ({"image": {}}, "FIELD_INVALID", "either content or source"),
        ({"image": {**IMAGE, "source": {}}}, "FIELD_INVALID", "either content or source"),
        ({"image": {"content": 5}}, "FIELD_INVALID", "image.content"),
        ({"image": {"content": "§"}}, "FIELD_INVALID", "image.content: expected base64"),
        ({"image": {"content": "abcde"}}, "FIELD_INVALID", "wrong length"),
        ({"image": {"bytes": ""}}, "FIELD_UNKNOWN", "image.bytes"),
        ({"image": {"source": 1}}, "FIELD_INVALID", "image.source"),
        ({"image": {"source": {"url": ""}}}, "FIELD_UNKNOWN", "image.source.url"),
        ({"image": {"source": {}}}, "FIELD_INVALID", "image.source.imageUri"),
        ({"image": IMAGE, "pagesize": 5, "Filter": ""}, "FIELD_UNKNOWN", "Filter, pagesize"),
        ({"image": IMAGE, "pageSize": 0}, "FIELD_INVALID", "pageSize: .* 1 to 100; found 0"),
        ({"image": IMAGE, "pageSize": 101}, "FIELD_INVALID", "found 101"),
        ({"image": IMAGE, "pageSize": "5"}, "FIELD_INVALID", "pageSize"),
        ({"image": IMAGE, "pageSize": 5.5}, "FIELD_INVALID", "found 5.5"),
        ({"image": IMAGE, "pageSize": True}, "FIELD_INVALID", "found true"),
        ({"image": IMAGE, "scoreThreshold": 1.5}, "FIELD_INVALID", "scoreThreshold"),
        ({"image": IMAGE, "scoreThreshold": None}, "FIELD_INVALID", "found nothing"),
        ({"image": IMAGE, "imagesPerProduct": 0}, "FIELD_INVALID", "imagesPerProduct"),
        ({"image": IMAGE, "excludeProductIds": "a"}, "FIELD_INVALID", "excludeProductIds"),
        ({"image": IMAGE, "excludeProductIds": [""]}, "FIELD_INVALID", "a list of 1"),
        ({"image": IMAGE, "excludeProductIds": ["a"] * 1001}, "FIELD_INVALID", "up to 1000"),
        ({"image": IMAGE, "excludeProductIds": ["\ud800"]}, "FIELD_INVALID", "a list of 1"),
        ({"image": IMAGE, "productCategories": "shoes"}, "FIELD_INVALID", "productCategories"),
        ({"image": IMAGE, "productCategories": ["a"] * 101}, "FIELD_INVALID", "up to 100"),
        ({"image": IMAGE, "productSet": ["summer"]}, "FIELD_INVALID", "productSet"),
        ({"image": IMAGE, "productSet": "s" * 1025}, "FIELD_INVALID", "up to 1024 characters"),
        ({"image": IMAGE, "filter": 5}, "FIELD_INVALID", "filter: expected text; found 5"),
        ({"image": IMAGE, "filter": "\udfff=1"}, "FIELD_INVALID", "filter: expected text"),
        ({"image": IMAGE, "filter": "color"}, "FILTER_INVALID", "character 6: expected ="),
        ({"image": IMAGE, "collapseDuplicates": "true"}, "FIELD_INVALID", "true or false"),
        ({"image": IMAGE, "collapseDuplicates": 1}, "FIELD_INVALID", "found 1"),
        ({"image": IMAGE, "pageToken": None}, "FIELD_INVALID", "pageToken: .* found nothing"),
        ({"image": IMAGE, "boundingPoly": None}, "POLYGON_INVALID", "boundingPoly: expected"),
        ({"image": IMAGE, "facets": "color"}, "FIELD_INVALID", "up to 20 keys"),
        ({"image": IMAGE, "facets": ["k"] * 21}, "FIELD_INVALID", "up to 20 keys"),
        ({"image": IMAGE, "fields": "results"}, "FIELD_MASK_INVALID", "'results' leads to nothing"),
        ({"image": IMAGE, "fields": [5]}, "FIELD_INVALID", "fields: expected paths"),
        ({"image": IMAGE, "fields": "*," * 2501}, "FIELD_INVALID", "up to 5000 characters"),
    ],
)
def test_what_json_cannot_say_is_named(body: object, reason: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        parse(as_json(body))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"pageSize": "3"}, "IMAGE_MISSING", "found none"),
        ({"image": "text"}, "FIELD_INVALID", "image: expected a file part"),
        ({"image": [file(), file()]}, "FIELD_INVALID", "one file; found 2"),
        ({"image": file(), "photo": file()}, "FIELD_UNKNOWN", "photo"),
        ({"image": file(), "colour": "red"}, "FIELD_UNKNOWN", "colour"),
        ({"image": file(), "pageSize": "many"}, "FIELD_INVALID", "found 'many'"),
        ({"image": file(), "pageSize": ["1", "2"]}, "FIELD_INVALID", "a list of 2"),
        ({"image": file(), "scoreThreshold": "nan"}, "FIELD_INVALID", "scoreThreshold"),
        ({"image": file(), "filter": ["a=1", "b=2"]}, "FIELD_INVALID", "filter: .* a list of 2"),
        ({"image": file(), "filter": "(a=1"}, "FILTER_INVALID", "character 5: expected AND"),
        ({"image": file(), "collapseDuplicates": "yes"}, "FIELD_INVALID", "found 'yes'"),
        ({"image": file(), "boundingPoly": "0,0,1,1"}, "POLYGON_INVALID", "boundingPoly: expected"),
        (
            {"image": file(), "boundingPoly": "[" * 9999},
            "POLYGON_INVALID",
            "boundingPoly: expected",
        ),
        ({"image": file(), "boundingPoly": ["{}", "{}"]}, "POLYGON_INVALID", "boundingPoly"),
        ({"image": file(), "fields": ["score", "*"]}, "FIELD_MASK_INVALID", "'score'"),
    ],
)
def test_what_a_form_cannot_say_is_named(fields: dict[str, Any], reason: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        parse(as_form(**fields))
    assert caught.value.reason == reason


def test_another_content_type_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedImage, match="image/jpeg") as caught:
        parse(as_request(data=PHOTO, content_type="image/jpeg"))
    assert caught.value.reason == "CONTENT_TYPE_UNSUPPORTED"


NAMES = ["image", "content", "source", "imageUri", "x", *FIELDS]
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(NESTED)
def test_any_json_is_read_or_refused(body: object) -> None:
    try:
        parse(as_json(body))
    except FunctionError as error:
        assert error.http_status == 400  # noqa: PT017 - either outcome is right
        json.dumps(error_body(error)).encode()


def test_an_error_has_the_body_of_aip_193() -> None:
    error = Unavailable("Nothing to serve.", metadata={"release": "r1"})
    assert error_body(error) == {
        "error": {
            "code": 503,
            "status": "UNAVAILABLE",
            "message": "Nothing to serve.",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "LOADING",
                    "domain": "lookalike",
                    "metadata": {"release": "r1"},
                }
            ],
        }
    }
