"""A page token is taken back as it was given, for the same index and query, and not otherwise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.errors import BadRequest
from function.paging import Pages, pages_of

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
PAGES = pages_of("i31", PIXELS, (0.5, "red"))
PLACES = st.integers(0, 2**32 - 1)


def refused(pages: Pages, token: str, reason: str = "PAGE_TOKEN_INVALID") -> str:
    with pytest.raises(BadRequest) as caught:
        pages.place(token)
    assert caught.value.reason == reason
    assert caught.value.metadata["field"] == "pageToken"
    return caught.value.message


@given(PLACES)
def test_a_token_stands_for_its_place_and_fits_into_an_address(place: int) -> None:
    token = PAGES.token(place)
    assert PAGES.place(token) == place
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert pages_of("i31", PIXELS.copy(), (0.5, "red")).place(token) == place


def test_no_token_is_the_first_page() -> None:
    assert PAGES.place("") == 0


@given(PLACES, st.data())
def test_a_token_with_one_other_character_is_refused(place: int, data: st.DataObject) -> None:
    token = PAGES.token(place)
    where = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("aZ09-_").filter(lambda letter: letter != token[where]))
    message = refused(PAGES, token[:where] + other + token[where + 1 :])
    assert (
        message == "pageToken: expected what an answer gave as nextPageToken; found something else."
    )


@given(st.text(min_size=1, max_size=80) | PLACES.map(lambda place: PAGES.token(place)[:-4]))
def test_other_text_is_refused(token: str) -> None:
    refused(PAGES, token)


@pytest.mark.parametrize(
    ("looked_for", "fields"),
    [(PIXELS + 1, (0.5, "red")), (PIXELS, (0.5, "blue")), ("", (0.5, "red")), ("p1", (0.5, "red"))],
)
def test_a_token_of_another_query_says_so(
    looked_for: np.ndarray | str, fields: tuple[object, ...]
) -> None:
    token = pages_of("i31", looked_for, fields).token(10)
    assert "found one of another query" in refused(PAGES, token)


@given(st.text(max_size=5), st.text(max_size=5))
def test_texts_are_told_from_each_other(one: str, other: str) -> None:
    token = pages_of("i31", one, ("red",)).token(10)
    if one == other:
        assert pages_of("i31", other, ("red",)).place(token) == 10
    else:
        refused(pages_of("i31", other, ("red",)), token)


def test_a_token_of_an_index_that_was_replaced_says_so() -> None:
    token = pages_of("i30", PIXELS, (0.5, "red")).token(10)
    message = refused(PAGES, token, "PAGE_TOKEN_EXPIRED")
    assert "the index that is served now, i31" in message
    assert "Search again without it" in message
