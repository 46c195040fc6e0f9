"""What the query of an address asks: read as a search's fields are, or refused."""

from urllib.parse import urlencode

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from function.errors import BadRequest
from function.fields import INDEX
from function.filters import Label, Selection
from function.masks import WHOLE, Mask
from function.queries import BrowseRequest, parse_browse, parse_fields


def asked(query: str) -> Request:
    return Request(EnvironBuilder(path="/v1/products", query_string=query).get_environ())


def test_every_parameter_is_read() -> None:
    query = urlencode(
        [
            ("filter", 'color="deep red"'),
            ("productCategories", "shoes"),
            ("productSet", "productSets/summer"),
            ("facets", "color"),
            ("pageSize", "20"),
            ("productCategories", "a,b"),
            ("facets", "productCategory"),
            ("pageToken", "next"),
            ("fields", "products.name,totalSize"),
            ("fields", "facets"),
            ("key", "whoever asks"),
        ]
    )
    assert parse_browse(asked(query)) == BrowseRequest(
        page_size=20,
        page_token="next",  # noqa: S106 - a place, no secret
        selection=Selection(Label("color", "deep red"), frozenset({"shoes", "a,b"}), "summer"),
        facets=("color", "productCategory"),
        mask=Mask({"products": {"name": None}, "totalSize": None, "facets": None}),
    )


def test_nothing_is_needed() -> None:
    assert parse_browse(asked("")) == BrowseRequest()
    assert parse_browse(asked("filter=&productSet=&pageToken=&fields=")) == BrowseRequest()
    assert parse_fields(asked("key=x"), INDEX) == WHOLE


@pytest.mark.parametrize(
    ("query", "reason", "says"),
    [
        ("filters=a%3Db", "FIELD_UNKNOWN", "Unknown fields: filters. Known are pageSize, .*fields"),
        ("scoreThreshold=0.5", "FIELD_UNKNOWN", "scoreThreshold"),
        ("image=x", "FIELD_UNKNOWN", "Unknown fields: image. Known are pageSize"),
        ("pageSize=101", "FIELD_INVALID", "pageSize: .*1 to 100; found '101'"),
        ("pageSize=", "FIELD_INVALID", "pageSize"),
        ("pageSize=1&pageSize=2", "FIELD_INVALID", "a list of 2"),
        ("filter=a&filter=b", "FIELD_INVALID", "filter: .*a list of 2"),
        ("filter=a", "FILTER_INVALID", "character 2: expected ="),
        ("facets=" + "&facets=".join("abcdefghijklmnopqrstu"), "FIELD_INVALID", "up to 20 keys"),
        ("fields=results", "FIELD_MASK_INVALID", "'results' leads to nothing"),
    ],
)
def test_what_it_cannot_say_is_named(query: str, reason: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        parse_browse(asked(query))
    assert caught.value.reason == reason


@pytest.mark.parametrize("query", ["field=x", "pageSize=1"])
def test_where_only_fields_can_be_asked_nothing_else_is(query: str) -> None:
    with pytest.raises(BadRequest, match=r"Known are fields\.") as caught:
        parse_fields(asked(query), INDEX)
    assert caught.value.reason == "FIELD_UNKNOWN"
