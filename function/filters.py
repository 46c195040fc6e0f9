"""Which products a search may return: the language of `filter`, and all restrictions together.

    (color=red OR color=blue) AND style=kids AND NOT material="real leather"

    filter      = term { AND term } | term { OR term }
    term        = [ NOT ] ( restriction | "(" filter ")" )
    restriction = word "=" word

It is that of Vision Product Search, whose every filter means the same here, with what it lacks:
OR between different keys, NOT, and nesting. Keys and values are compared as they are, capitals
and accents included; AND, OR and NOT are operators only in capitals. A word with a space, a
parenthesis or one of `= < > !` in it, one that begins with a quote, and an operator that is meant
as a word are put in double or single quotes, in which \\ stands before a quote or another \\.

AND beside OR needs parentheses: Google's AIP-160 lets OR bind the tighter, SQL lets AND, and a
caller may know either. A product that carries a key more than once has each of its values. A key
or value that no product carries matches none.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from .errors import BadRequest

MAX_FILTER_CHARACTERS = 5000
MAX_FILTER_TERMS = 100
MAX_FILTER_DEPTH = 16

_TOKEN = re.compile(
    r"""(?P<symbol>[()=])
      | (?P<word>[^\s()=<>!"'][^\s()=<>!"]*)
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<end>\Z)""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True)
class Label:
    """Products that carry this label."""

    key: str
    value: str


@dataclass(frozen=True)
class And:
    """Products that every part matches."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Or:
    """Products that at least one part matches."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Not:
    """Products that the part does not match."""

    part: "Filter"


type Filter = Label | And | Or | Not


@dataclass(frozen=True)
class Selection:
    """Which products may be found: those that satisfy all of it.

    Attributes:
        where: what their labels must say; None: anything.
        categories: of which theirs must be one; empty: any.
        product_set: to which they must belong; "": to any or none.
        excluded: ids of products that are left out.
    """

    where: Filter | None = None
    categories: frozenset[str] = frozenset()
    product_set: str = ""
    excluded: frozenset[str] = frozenset()

    def plain_values(self) -> tuple[object, ...]:
        """Return all of it in plain values, which are equal where the selections are."""
        return (self.where, sorted(self.categories), self.product_set, sorted(self.excluded))


EVERYTHING = Selection()


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        BadRequest: it is too long, has too many terms or parentheses within parentheses, or says
            nothing; the message tells the character, counted from 1, and what was expected there.
    """
    if len(text) > MAX_FILTER_CHARACTERS:
        raise _bad(
            f"filter: expected at most {MAX_FILTER_CHARACTERS} characters; found {len(text)}."
        )
    return _Parser(text).parse()


def _bad(message: str, **metadata: str) -> BadRequest:
    return BadRequest(message, reason="FILTER_INVALID", metadata={"field": "filter", **metadata})


class _Parser:
    """Recursive descent over one filter; `_kind`, `_value` and `_at` are of the token at hand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = 0
        self._terms = 0
        self._advance()

    def parse(self) -> Filter:
        found = self._filter(0)
        if self._kind != "end":
            self._refuse("AND, OR or the end")
        return found

    def _filter(self, depth: int) -> Filter:
        parts = [self._term(depth)]
        operator = self._value if self._is("AND") or self._is("OR") else ""
        while operator and self._is(operator):
            self._advance()
            parts.append(self._term(depth))
        if self._is("AND") or self._is("OR"):
            self._refuse(f"{operator} again, or parentheses that say which goes first")
        if len(parts) == 1:
            return parts[0]
        return And(tuple(parts)) if operator == "AND" else Or(tuple(parts))

    def _term(self, depth: int) -> Filter:
        if self._is("NOT"):
            self._advance()
            return Not(self._operand(depth, "a key or ( after NOT"))
        return self._operand(depth, "a key, NOT or (")

    def _operand(self, depth: int, expected: str) -> Filter:
        if not self._is_symbol("("):
            return self._restriction(expected)
        if depth == MAX_FILTER_DEPTH:
            self._refuse(f"at most {MAX_FILTER_DEPTH} parentheses within each other")
        self._advance()
        found = self._filter(depth + 1)
        if not self._is_symbol(")"):
            self._refuse("AND, OR or )")
        self._advance()
        return found

    def _restriction(self, expected: str) -> Label:
        if self._terms == MAX_FILTER_TERMS:
            self._refuse(f"at most {MAX_FILTER_TERMS} of key=value")
        self._terms += 1
        key = self._word(expected)
        if not self._is_symbol("="):
            self._refuse("= after the key")
        self._advance()
        return Label(key, self._word("a value after ="))

    def _word(self, expected: str) -> str:
        if self._kind not in ("word", "quoted"):
            self._refuse(expected)
        if self._kind == "word" and self._value in _OPERATORS:
            self._refuse(f"{expected}, in quotes where an operator's name is meant")
        value = self._value
        self._advance()
        return value

    def _is(self, operator: str) -> bool:
        return self._kind == "word" and self._value == operator

    def _is_symbol(self, symbol: str) -> bool:
        return self._kind == "symbol" and self._value == symbol

    def _advance(self) -> None:
        space = _SPACE.match(self._text, self._next)
        self._at = space.end() if space else self._next
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            self._kind, self._value = "stray", self._text[self._at]
            return
        self._next = found.end()
        self._kind = found.lastgroup or "end"
        self._value = found[self._kind]
        if self._kind in ("double", "single"):
            self._kind, self._value = "quoted", _ESCAPE.sub(r"\1", self._value)

    def _refuse(self, expected: str) -> NoReturn:
        if self._kind == "end":
            found = "the end"
        elif self._kind == "stray" and self._value in "\"'":
            found = "a quote that is not closed, or stands within a word"
        else:
            found = repr(self._text[self._at : self._at + 20])
        place = self._at + 1
        raise _bad(
            f"filter: character {place}: expected {expected}; found {found}.", character=str(place)
        )
