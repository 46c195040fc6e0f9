"""A mask keeps what its paths lead to, and nothing else; a path that leads nowhere is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.errors import BadRequest
from function.masks import (
    BROWSE_ANSWER,
    INDEX_ANSWER,
    PRODUCT_ANSWER,
    SEARCH_ANSWER,
    WHOLE,
    Shape,
    parse_mask,
)

ANSWER = {
    "productSearchResults": {
        "indexTime": "now",
        "results": [
            {"product": {"name": "products/1", "price": "1"}, "score": 0.5, "image": "a"},
            {"product": {"name": "products/2", "price": "2"}, "score": 0.4, "image": "b"},
        ],
    },
    "nextPageToken": "",
    "timingsMs": {"decode": 4},
}


def masked(*texts: str) -> Any:
    return parse_mask(texts, SEARCH_ANSWER).of(ANSWER)


def test_paths_go_through_objects_and_lists() -> None:
    assert masked("productSearchResults.results.product.name,nextPageToken") == {
        "productSearchResults": {
            "results": [{"product": {"name": "products/1"}}, {"product": {"name": "products/2"}}]
        },
        "nextPageToken": "",
    }


def test_what_lies_below_a_path_comes_with_it() -> None:
    assert masked("productSearchResults.results.product") == {
        "productSearchResults": {
            "results": [
                {"product": {"name": "products/1", "price": "1"}},
                {"product": {"name": "products/2", "price": "2"}},
            ]
        }
    }
    assert masked("timingsMs") == {"timingsMs": {"decode": 4}}


@pytest.mark.parametrize(
    "texts",
    [
        ("nextPageToken,timingsMs",),
        ("nextPageToken", "timingsMs"),
        (" timingsMs , nextPageToken ", "", "timingsMs"),
    ],
)
def test_paths_may_be_repeated_and_come_in_any_order(texts: tuple[str, ...]) -> None:
    assert masked(*texts) == {"nextPageToken": "", "timingsMs": {"decode": 4}}


def test_the_wider_of_two_paths_holds_in_either_order() -> None:
    wide, narrow = "productSearchResults", "productSearchResults.results.score"
    expected = {"productSearchResults": ANSWER["productSearchResults"]}
    assert masked(wide, narrow) == masked(narrow, wide) == expected


def test_a_star_at_the_end_is_every_member_there() -> None:
    assert masked("*") == ANSWER
    assert masked("productSearchResults.results.product.*,timingsMs") == masked(
        "productSearchResults.results.product", "timingsMs"
    )


@pytest.mark.parametrize("texts", [(), ("",), (" ", "")])
def test_no_path_is_the_whole_answer(texts: tuple[str, ...]) -> None:
    assert parse_mask(texts, SEARCH_ANSWER) == WHOLE
    assert WHOLE.of(ANSWER) is ANSWER


def test_what_an_answer_lacks_is_lacking() -> None:
    assert masked("facets", "productSearchResults.results.images.imageUrl") == {
        "productSearchResults": {"results": [{}, {}]}
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("score", "found 'score', where 'score' leads to nothing. Known in its place: productSe"),
        ("nextPageToken,", "found '', where '' leads to nothing"),
        (",", "found ''"),
        ("productSearchResults..score", "found 'productSearchResults..score', where ''"),
        ("productSearchResults.results.Score", "where 'Score' leads to nothing"),
        ("nextPageToken.length", "where 'length' leads to nothing. Known in its place: nothing."),
        ("timingsMs.*", "where '*' leads to nothing"),
        ("productSearchResults.*.score", "where '*' leads to nothing"),
        ("productSearchResults.results(score)", "'results(score)'"),
        ("facets,facets.value", "found 'facets.value'"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(text: str, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        masked(text)
    assert caught.value.reason == "FIELD_MASK_INVALID"
    assert caught.value.metadata["field"] == "fields"
    assert caught.value.metadata["path"] in text
    assert says in caught.value.message


def paths(shape: Shape) -> list[str]:
    found = list(shape)
    return found + [f"{name}.{path}" for name in shape for path in paths(shape[name])]


SHAPES = [SEARCH_ANSWER, BROWSE_ANSWER, PRODUCT_ANSWER, INDEX_ANSWER]


def full(shape: Shape) -> Any:
    return [{name: full(inner) for name, inner in shape.items()}] if shape else 1


@given(st.data())
def test_a_mask_keeps_the_leaves_that_a_path_is_the_beginning_of(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(SHAPES))
    known = paths(shape)
    chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))
    (whole,) = full(shape)
    kept = flat(parse_mask([",".join(chosen)], shape).of(whole))
    assert kept == {
        leaf for leaf in flat(whole) if any(f"{leaf}.".startswith(f"{path}.") for path in chosen)
    }


def flat(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return set().union(*(flat(item, path) for item in value))
    if isinstance(value, dict):
        return set().union(*(flat(v, f"{path}.{name}".lstrip(".")) for name, v in value.items()))
    return {path}


@given(st.text(max_size=30))
def test_any_text_is_a_mask_or_a_refusal(text: str) -> None:
    try:
        parse_mask([text], PRODUCT_ANSWER)
    except BadRequest as error:
        assert error.reason == "FIELD_MASK_INVALID"  # noqa: PT017 - either outcome is right
