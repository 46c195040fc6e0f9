"""The fields of requests beside a photo: how each is read, and how a wrong one is refused.

`FIELDS` is the one list of them; api.py says what they mean. A `Question` has some of them.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .errors import BadRequest
from .filters import Selection, parse_filter
from .masks import (
    BROWSE_ANSWER,
    INDEX_ANSWER,
    MAX_MASK_CHARACTERS,
    PRODUCT_ANSWER,
    SEARCH_ANSWER,
    Shape,
    parse_mask,
)
from .objects import MAX_OBJECTS
from .region import parse_region

MAX_PAGE_SIZE = 100
# Each explained match is a photo to read and to embed: as much as another search.
MAX_EXPLAINED = 10
MAX_IMAGES_PER_PRODUCT = 100
MAX_EXCLUDED_PRODUCTS = 1000
MAX_CATEGORIES = 100
MAX_FACETS = 20
MAX_ID_CHARACTERS = 1024


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _whole(lowest: int, highest: int) -> Callable[[Any], int | None]:
    def parse(value: object) -> int | None:
        # To JSON Schema, and to Google's APIs, 2.0 is a whole number too.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if lowest <= value <= highest else None

    return parse


def _cosine(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1 <= value <= 1 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """JSON can spell half a surrogate pair, which no other text can equal."""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        return None
    return value


def _name(value: object) -> str | None:
    text = _text(value)
    return text if text is not None and len(text) <= MAX_ID_CHARACTERS else None


def _names(most: int) -> Callable[[Any], tuple[str, ...] | None]:
    def parse(value: object) -> tuple[str, ...] | None:
        if not isinstance(value, list) or len(value) > most or not all(map(_name, value)):
            return None
        return tuple(dict.fromkeys(value))

    return parse


def _paths(value: object) -> tuple[str, ...] | None:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(_text(text) is not None for text in texts):
        return None
    return tuple(texts) if sum(map(len, texts)) <= MAX_MASK_CHARACTERS else None


def _json(text: str) -> object:
    """Nothing, where it is no JSON; numbers that are none are left to the field."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class Field:
    """How one field is read.

    Attributes:
        name: of what it becomes.
        expected: for the message.
        parse: returns None for what it cannot take.
        from_text: reads its JSON value from a form's text.
    """

    name: str
    expected: str
    parse: Callable[[Any], object]
    is_list: bool = False
    from_text: Callable[[str], object] = str


_TRUTHS = {"true": True, "false": False}

FIELDS = {
    "boundingPoly": Field("region", "a polygon", parse_region, from_text=_json),
    "maxObjects": Field(
        "max_objects",
        f"a whole number, 0 to {MAX_OBJECTS}",
        _whole(0, MAX_OBJECTS),
        from_text=_number,
    ),
    "pageSize": Field(
        "page_size",
        f"a whole number, 1 to {MAX_PAGE_SIZE}",
        _whole(1, MAX_PAGE_SIZE),
        from_text=_number,
    ),
    "pageToken": Field("page_token", f"up to {MAX_ID_CHARACTERS} characters", _name),
    "scoreThreshold": Field("score_threshold", "a number, -1 to 1", _cosine, from_text=_number),
    "imagesPerProduct": Field(
        "images_per_product",
        f"a whole number, 1 to {MAX_IMAGES_PER_PRODUCT}",
        _whole(1, MAX_IMAGES_PER_PRODUCT),
        from_text=_number,
    ),
    "filter": Field("filter", "text", _text),
    "productCategories": Field(
        "categories",
        f"up to {MAX_CATEGORIES} categories of 1 to {MAX_ID_CHARACTERS} characters",
        _names(MAX_CATEGORIES),
        is_list=True,
    ),
    "productSet": Field("product_set", f"up to {MAX_ID_CHARACTERS} characters", _name),
    "excludeProductIds": Field(
        "excluded",
        f"up to {MAX_EXCLUDED_PRODUCTS} product ids of 1 to {MAX_ID_CHARACTERS} characters",
        _names(MAX_EXCLUDED_PRODUCTS),
        is_list=True,
    ),
    "collapseDuplicates": Field(
        "collapse_duplicates",
        "true or false",
        _flag,
        from_text=_TRUTHS.get,
    ),
    "explain": Field("explain", "true or false", _flag, from_text=_TRUTHS.get),
    "facets": Field(
        "facets",
        f"up to {MAX_FACETS} keys of 1 to {MAX_ID_CHARACTERS} characters",
        _names(MAX_FACETS),
        is_list=True,
    ),
    "fields": Field(
        "mask", f"paths of up to {MAX_MASK_CHARACTERS} characters in all", _paths, is_list=True
    ),
}


@dataclass(frozen=True)
class Question:
    """A kind of request.

    Attributes:
        fields: names of those it may have, of `FIELDS`.
        answer: what the mask `fields` chooses from.
        has_photo: whether `image` is among its fields.
    """

    fields: tuple[str, ...]
    answer: Shape
    has_photo: bool = False


SEARCH = Question(tuple(FIELDS), SEARCH_ANSWER, has_photo=True)
_OF_PHOTOS = ("boundingPoly", "maxObjects", "explain")
SIMILAR = Question(tuple(name for name in FIELDS if name not in _OF_PHOTOS), SEARCH_ANSWER)
BROWSE = Question(
    ("pageSize", "pageToken", "filter", "productCategories", "productSet", "facets", "fields"),
    BROWSE_ANSWER,
)
PRODUCT = Question(("fields",), PRODUCT_ANSWER)
INDEX = Question(("fields",), INDEX_ANSWER)


def read_fields(
    values: dict[str, Any], *, from_text: bool, question: Question = SEARCH
) -> dict[str, Any]:
    """Read all fields but the photo.

    Args:
        values: by the fields' names.
        from_text: whether a string is a form's text, which may stand for a number or a flag.
        question: whose fields they are.

    Returns:
        Keyword arguments of the dataclass that the request becomes; what is absent keeps its
        default.

    Raises:
        BadRequest: a field is unknown, or has another value than it may.
    """
    if unknown := sorted(set(values) - set(question.fields)):
        raise unknown_fields(unknown, question)
    options: dict[str, Any] = {}
    for name, value in values.items():
        field = FIELDS[name]
        found = field.from_text(value) if from_text and isinstance(value, str) else value
        parsed = field.parse(found)
        if parsed is None:
            raise invalid(name, field.expected, value)
        options[field.name] = parsed
    if options.get("explain") and (size := options.get("page_size", 1)) > MAX_EXPLAINED:
        raise invalid("pageSize", f"a whole number, 1 to {MAX_EXPLAINED}, with explain", size)
    if options.get("max_objects"):
        # Who draws a polygon has found the thing; and a score from two photos has no one grid.
        for name in ("boundingPoly", "explain"):
            if options.get(FIELDS[name].name):
                raise invalid("maxObjects", f"0 with {name}", options["max_objects"])
    options["selection"] = _selection(options)
    options["mask"] = parse_mask(options.get("mask", ()), question.answer)
    return options


def gather(lists: Iterable[tuple[str, list[str]]]) -> dict[str, Any]:
    """Return the values of fields that came as texts, each once or repeatedly, by their names."""
    values: dict[str, Any] = {}
    for name, texts in lists:
        is_list = name in FIELDS and FIELDS[name].is_list
        values[name] = texts if is_list or len(texts) > 1 else texts[0]
    return values


def _selection(options: dict[str, Any]) -> Selection:
    """Take what selects products out of the options."""
    text = options.pop("filter", "")
    return Selection(
        # As in all of Google's APIs, an empty filter is none.
        where=parse_filter(text) if text.strip() else None,
        categories=frozenset(options.pop("categories", ())),
        product_set=options.pop("product_set", "").removeprefix("productSets/"),
        excluded=frozenset(name.removeprefix("products/") for name in options.pop("excluded", ())),
    )


def invalid(name: str, expected: str, found: object) -> BadRequest:
    """The refusal of a field's value."""
    return BadRequest(
        f"{name}: expected {expected}; found {kind_of(found)}.",
        reason="FIELD_INVALID",
        metadata={"field": name},
    )


def unknown_fields(names: list[str], question: Question = SEARCH) -> BadRequest:
    """The refusal of fields that do not exist."""
    shown = ", ".join(name[:100] for name in names[:10])
    known = ", ".join((*(["image"] if question.has_photo else []), *question.fields))
    return BadRequest(
        f"Unknown fields: {shown}. Known are {known}.",
        reason="FIELD_UNKNOWN",
        metadata={"fields": shown},
    )


def kind_of(value: object) -> str:
    """Show a caller's value, shortened, or only its kind where it may be large."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return str(value)[:60]
