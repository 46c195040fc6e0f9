"""The language of `filter`: what each text means, and where a wrong one goes wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.errors import BadRequest
from function.filters import (
    MAX_FILTER_CHARACTERS,
    MAX_FILTER_DEPTH,
    MAX_FILTER_TERMS,
    And,
    Filter,
    Label,
    Not,
    Or,
    parse_filter,
)

RED, BLUE, KIDS = Label("color", "red"), Label("color", "blue"), Label("style", "kids")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("color=red", RED),
        (" color  =\tred\n", RED),
        ("((color=red))", RED),
        ("(color=red OR color=blue) AND style=kids", And((Or((RED, BLUE)), KIDS))),
        ("(color = red OR color = blue) AND style = kids", And((Or((RED, BLUE)), KIDS))),
        ("color=red OR style=kids OR color=blue", Or((RED, KIDS, BLUE))),
        ("NOT color=red AND style=kids", And((Not(RED), KIDS))),
        ("NOT (color=red AND style=kids)", Not(And((RED, KIDS)))),
        ("style=kids AND(color=red OR color=blue)", And((KIDS, Or((RED, BLUE))))),
        ('"color"="red"', RED),
        ("'color'='red'", RED),
        ('style="blue (light) jeans"', Label("style", "blue (light) jeans")),
        (r'size="4\" x \\"', Label("size", '4" x \\')),
        ("style='it''s'", None),
        ("style=men's", Label("style", "men's")),
        ('style="AND"', Label("style", "AND")),
        ('style=""', Label("style", "")),
        ("Color=RED", Label("Color", "RED")),
        ("style=and", Label("style", "and")),
        ("größe=38,5", Label("größe", "38,5")),
        ("time=10:30", Label("time", "10:30")),
    ],
)
def test_a_text_means_one_thing(text: str, expected: Filter | None) -> None:
    if expected is None:
        with pytest.raises(BadRequest):
            parse_filter(text)
    else:
        assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", 1, "expected a key, NOT or (; found the end"),
        ("color", 6, "expected = after the key; found the end"),
        ("color red", 7, "expected = after the key; found 'red'"),
        ("color: red", 8, "expected = after the key; found 'red'"),
        ("color==red", 7, "expected a value after =; found '=red'"),
        ("color=", 7, "expected a value after =; found the end"),
        ("color!=red", 6, "expected = after the key; found '!=red'"),
        ("price<=5", 6, "expected = after the key; found '<=5'"),
        ("color=red blue", 11, "expected AND, OR or the end; found 'blue'"),
        ("color=red and style=kids", 11, "expected AND, OR or the end; found 'and style=kids'"),
        ("color=red AND", 14, "expected a key, NOT or (; found the end"),
        ("OR color=red", 1, "expected a key, NOT or (, in quotes where an operator's name"),
        ("color=AND", 7, "expected a value after =, in quotes where an operator's name"),
        ("NOT NOT color=red", 5, "expected a key or ( after NOT, in quotes where"),
        ("(color=red", 11, "expected AND, OR or ); found the end"),
        ("color=red)", 10, "expected AND, OR or the end; found ')'"),
        ("()", 2, "expected a key, NOT or (; found ')'"),
        ('color="red', 7, "found a quote that is not closed, or stands within a word"),
        ('size=4"', 7, "found a quote that is not closed, or stands within a word"),
        ("a=1 AND b=2 OR c=3", 13, "expected AND again, or parentheses that say which goes first"),
        ("a=1 OR b=2 AND c=3", 12, "expected OR again, or parentheses that say which goes first"),
    ],
)
def test_an_error_tells_the_character_and_what_was_expected(
    text: str, place: int, says: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_filter(text)
    assert caught.value.message.startswith(f"filter: character {place}: ")
    assert says in caught.value.message
    assert caught.value.reason == "FILTER_INVALID"
    assert caught.value.metadata == {"field": "filter", "character": str(place)}


def nested(depth: int) -> str:
    return "(" * depth + "a=1" + ")" * depth


def terms(count: int) -> str:
    return " OR ".join(["a=1"] * count)


@pytest.mark.parametrize(
    ("allowed", "refused", "says"),
    [
        (
            "a=" + "x" * (MAX_FILTER_CHARACTERS - 2),
            "a=" + "x" * (MAX_FILTER_CHARACTERS - 1),
            "expected at most 5000 characters; found 5001",
        ),
        (nested(MAX_FILTER_DEPTH), nested(MAX_FILTER_DEPTH + 1), "at most 16 parentheses"),
        (terms(MAX_FILTER_TERMS), terms(MAX_FILTER_TERMS + 1), "at most 100 of key=value"),
    ],
)
def test_its_size_is_bounded(allowed: str, refused: str, says: str) -> None:
    parse_filter(allowed)
    with pytest.raises(BadRequest, match=says) as caught:
        parse_filter(refused)
    assert caught.value.metadata["field"] == "filter"


WORDS = st.text(st.sampled_from("ab é=()\"'\\<!AND"), max_size=5) | st.sampled_from(["OR", "NOT"])
LABELS = st.builds(Label, WORDS, WORDS)
BARE = re.compile(r"""[^\s()=<>!"'][^\s()=<>!"]*""")


def parts(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[tuple[Filter, ...]]:
    return st.lists(inner, min_size=2, max_size=3).map(tuple)


FILTERS: st.SearchStrategy[Filter] = st.recursive(
    LABELS,
    lambda inner: parts(inner).map(And) | parts(inner).map(Or) | inner.map(Not),
    max_leaves=8,
)


def written(where: Filter, quote: str) -> str:
    """As a caller would write it, with parentheses around all but labels."""

    def word(text: str) -> str:
        if BARE.fullmatch(text) and text not in ("AND", "OR", "NOT"):
            return text
        escaped = re.sub(rf"([{quote}\\])", r"\\\1", text)
        return f"{quote}{escaped}{quote}"

    if isinstance(where, Label):
        return f"{word(where.key)}={word(where.value)}"
    if isinstance(where, Not):
        return f"NOT ({written(where.part, quote)})"
    operator = " AND " if isinstance(where, And) else " OR "
    return operator.join(
        written(part, quote) if isinstance(part, Label | Not) else f"({written(part, quote)})"
        for part in where.parts
    )


@given(FILTERS, st.sampled_from("\"'"))
def test_what_is_written_is_read(where: Filter, quote: str) -> None:
    assert parse_filter(written(where, quote)) == where


@given(st.text(st.sampled_from("ab=() \"'\\!ANDORT"), max_size=30))
def test_any_text_is_read_or_refused_at_a_character_of_it(text: str) -> None:
    try:
        parse_filter(text)
    except BadRequest as error:
        assert 1 <= int(error.metadata["character"]) <= len(text) + 1  # noqa: PT017
