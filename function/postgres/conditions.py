"""Selections as conditions in SQL: which products or photos may be found.

A table's column `terms` holds the numbers of all that a product can be found by, so every
restriction is one of them, or that it is not there. Text of a caller never becomes text of a
statement: it is looked up among the terms, and what no product carries is FALSE.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..filters import And, Filter, Label, Not, Selection
from ..postings import Term


@dataclass(frozen=True)
class Condition:
    """What stands after WHERE.

    Attributes:
        text: of the statement, with %(name)s for values.
        values: by these names.
    """

    text: str
    values: Mapping[str, object]


EVERY_ROW = Condition("TRUE", {})


def terms_in(selection: Selection) -> frozenset[Term]:
    """Return all that a selection names, as terms."""
    found: set[Term] = {("category", "", name) for name in selection.categories}
    if selection.product_set:
        found.add(("product set", "", selection.product_set))
    if selection.where is not None:
        found.update(("label", label.key, label.value) for label in _labels(selection.where))
    return frozenset(found)


def condition(
    selection: Selection, numbers: Mapping[Term, int], excluded: str, gone: list[int]
) -> Condition:
    """Return the condition on a table with a column `terms`.

    Args:
        selection: what to compile.
        numbers: of its terms; those of terms that no product has are missing.
        excluded: the column with the product's number.
        gone: numbers of the products that are excluded.
    """
    values: dict[str, object] = {}

    def bound(value: object) -> str:
        name = f"v{len(values)}"
        values[name] = value
        return f"%({name})s"

    def has_any(terms: list[Term]) -> str:
        known = [numbers[term] for term in terms if term in numbers]
        return f"terms && {bound(known)}::integer[]" if known else "FALSE"

    def compiled(where: Filter) -> str:
        if isinstance(where, Label):
            return has_any([("label", where.key, where.value)])
        if isinstance(where, Not):
            return f"NOT ({compiled(where.part)})"
        operator = " AND " if isinstance(where, And) else " OR "
        return operator.join(f"({compiled(part)})" for part in where.parts)

    parts = []
    if selection.where is not None:
        parts.append(compiled(selection.where))
    if selection.categories:
        parts.append(has_any([("category", "", name) for name in sorted(selection.categories)]))
    if selection.product_set:
        parts.append(has_any([("product set", "", selection.product_set)]))
    if gone:
        parts.append(f"{excluded} <> ALL ({bound(gone)}::bigint[])")
    if not parts:
        return EVERY_ROW
    return Condition(" AND ".join(f"({part})" for part in parts), values)


def is_text(value: str) -> bool:
    """Say whether PostgreSQL can hold a text: it has no NUL, so a look-up of one finds nothing."""
    return "\0" not in value


def _labels(where: Filter) -> Iterator[Label]:
    if isinstance(where, Label):
        yield where
    elif isinstance(where, Not):
        yield from _labels(where.part)
    else:
        for part in where.parts:
            yield from _labels(part)
