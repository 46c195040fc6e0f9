"""Field masks: which members of an answer the caller wants, as paths.

    fields=productSearchResults.results.product.name,productSearchResults.results.score,facets

A path's names are those of the answer, with dots between; lists are passed through, so a path says
what is wanted of each item. What lies below a path's end comes with it, and a path may end with
`*`, for all members there. Paths are separated by commas, in one text or several; no path at all
means the whole answer. A path that no answer of the route can have is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BadRequest
from .openapi.answers import ANSWERS
from .openapi.schemas import Schema

MAX_MASK_CHARACTERS = 5000

# Members by name, with what a path may name below each: nothing, of values and of objects whose
# members are not fixed.
type Shape = Mapping[str, "Shape"]
# Members by name, with what is wanted of each; None: all of it.
type _Tree = dict[str, "_Tree | None"]


def _shape(schema: Schema) -> Shape:
    """What paths may name in what a schema describes."""
    if "$ref" in schema:
        return _shape(ANSWERS[schema["$ref"].rpartition("/")[2]])
    if "items" in schema:
        return _shape(schema["items"])
    return {name: _shape(inner) for name, inner in schema.get("properties", {}).items()}


SEARCH_ANSWER, BROWSE_ANSWER, PRODUCT_ANSWER, INDEX_ANSWER = (
    _shape(ANSWERS[name]) for name in ("SearchAnswer", "ProductPage", "ProductDetail", "Index")
)


@dataclass(frozen=True)
class Mask:
    """What is wanted of an answer.

    Attributes:
        tree: members by name, with what is wanted of each; None: all of it.
    """

    tree: "_Tree | None"

    def of(self, answer: dict[str, Any]) -> Any:
        """Return what is wanted of an answer; what it lacks is lacking there too."""
        return _masked(answer, self.tree)


WHOLE = Mask(None)


def parse_mask(texts: Iterable[str], answer: Shape) -> Mask:
    """Read a mask for answers of this shape.

    Raises:
        BadRequest: a path is none, or leads to nothing.
    """
    tree: _Tree = {}
    for text in texts:
        for path in text.split(",") if text.strip() else ():
            _add(tree, answer, path.strip().split("."), path.strip())
    return Mask(tree) if tree else WHOLE


def _add(tree: _Tree, shape: Shape, names: list[str], path: str) -> None:
    """Add to a tree what is left of a path there."""
    name, *below = names
    chosen = list(shape) if names == ["*"] else [name]
    if not chosen or not shape.keys() >= set(chosen):
        raise BadRequest(
            f"fields: expected paths of this answer; found {path[:200]!r}, where {name[:100]!r} "
            f"leads to nothing. Known in its place: {', '.join(shape) or 'nothing'}.",
            reason="FIELD_MASK_INVALID",
            metadata={"field": "fields", "path": path[:200]},
        )
    for member in chosen:
        part = tree.setdefault(member, {} if below else None)
        if below:
            # Read even where all of it is wanted already, so that a wrong path is always told.
            _add({} if part is None else part, shape[member], below, path)
        else:
            tree[member] = None


def _masked(value: Any, tree: "_Tree | None") -> Any:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_masked(item, tree) for item in value]
    if isinstance(value, dict):
        return {name: _masked(item, tree[name]) for name, item in value.items() if name in tree}
    return value
