"""The words of Google's Vision API, as far as clients of its Product Search use them.

Each image's request becomes a search of ours, and its results go back under Vision's names:

    image.content                              image.content
    image.source.imageUri, .gcsImageUri        image.source.imageUri
    features: PRODUCT_SEARCH, its maxResults   pageSize, of which there are 100 at most
    imageContext.productSearchParams
      .productSet                              productSet: its last part
      .productCategories .filter               the same
      .boundingPoly .maxObjects                the same; the latter is ours alone

Where a client names its set projects/P/locations/L/productSets/S, or that location as the parent,
products are named under projects/P/locations/L too: it may take such names apart.

https://cloud.google.com/vision/product-search/docs/reference/rest/v1/images/annotate
"""

import re
from dataclasses import dataclass
from typing import Any

from .api import SearchRequest, parse_search_object
from .body import known_members, whole_number
from .errors import BadRequest, FunctionError
from .fields import MAX_PAGE_SIZE, invalid
from .region import WHOLE, polygon_of

MAX_IMAGES = 16
# Google's own clients send the enumeration's number.
PRODUCT_SEARCH = ("PRODUCT_SEARCH", 12)
# The code of google.rpc.Status for what is wrong with one image.
INVALID_ARGUMENT = 3

_LOCATION = re.compile(r"projects/[^/]+/locations/[^/]+")
_SET = re.compile(rf"({_LOCATION.pattern})/productSets/(.+)", re.DOTALL)

# What else there is speaks of other features, or of how it is accounted for.
_BATCH = ("requests", "parent", "labels")
_ITEM = ("image", "features", "imageContext")
_FEATURE = ("type", "maxResults", "model")
_CONTEXT = (
    *("productSearchParams", "latLongRect", "languageHints", "cropHintsParams"),
    *("webDetectionParams", "textDetectionParams"),
)
_PARAMS = ("productSet", "productCategories", "filter", "boundingPoly", "maxObjects")


@dataclass(frozen=True)
class Batch:
    """What one call asks.

    Attributes:
        items: 1 to MAX_IMAGES, one for each image, unread.
        parent: projects/P/locations/L, or "".
    """

    items: list[object]
    parent: str


@dataclass(frozen=True)
class Item:
    """What is asked of one image.

    Attributes:
        search: in our words.
        region: the polygon that is searched.
        parent: under which products are named: projects/P/locations/L, or "".
    """

    search: SearchRequest
    region: dict[str, Any]
    parent: str


def parse_batch(body: dict[str, Any]) -> Batch:
    """Read what holds for all images; BadRequest says what is wrong with it."""
    batch = _object("The body", body, _BATCH)
    items = batch.get("requests")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_IMAGES:
        raise invalid("requests", f"a list of 1 to {MAX_IMAGES}", items)
    parent = batch.get("parent", "")
    return Batch(items, parent if isinstance(parent, str) and _LOCATION.fullmatch(parent) else "")


def parse_item(value: object, parent: str) -> Item:
    """Read what is asked of one image.

    Args:
        value: one of `Batch.items`.
        parent: of the batch.

    Raises:
        BadRequest: names the field, what was expected and what was found.
    """
    search, region, location = translate(value)
    return Item(parse_search_object(search), region, location or parent)


def translate(value: object) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Say in our words what is asked of one image.

    Returns:
        A search as JSON; the polygon that it searches; and where its product set is, as
        projects/P/locations/L, or "".
    """
    item = _object("requests[]", value, _ITEM)
    search: dict[str, Any] = {"image": _image(item.get("image"))}
    if most := _max_results(item.get("features")):
        search["pageSize"] = min(most, MAX_PAGE_SIZE)
    context = _object("imageContext", item.get("imageContext", {}), _CONTEXT)
    name = "productSearchParams"
    search |= _object(name, context.get(name, {}), _PARAMS)
    product_set, location = search.get("productSet"), ""
    if isinstance(product_set, str) and (match := _SET.fullmatch(product_set)):
        location, search["productSet"] = match.groups()
    if polygon := _polygon(search.pop("boundingPoly", None)):
        search["boundingPoly"] = polygon
    return search, polygon or polygon_of(WHOLE), location


def item_answer(item: Item, found: dict[str, Any]) -> dict[str, Any]:
    """Return the answer for one image.

    Args:
        item: what was asked.
        found: `productSearchResults` of a search's answer.
    """
    results = [_named(result, item.parent) for result in found["results"]]
    whole = {"boundingPoly": item.region, "results": found["results"]}
    grouped = [
        group | {"results": [_named(result, item.parent) for result in group["results"]]}
        for group in found.get("productGroupedResults", [whole])
    ]
    return {"productSearchResults": found | {"results": results, "productGroupedResults": grouped}}


def error_answer(error: FunctionError) -> dict[str, Any]:
    """Return the answer for an image that cannot be searched for.

    The reason stands beside the message: in `details`, whose types a client has to know, Google's
    client for Java could not read it, nor the answers for the other images.
    """
    return {
        "error": {
            "code": INVALID_ARGUMENT,
            "message": error.message,
            "status": error.status,
            "reason": error.reason,
        }
    }


def _image(value: object) -> dict[str, Any] | None:
    """As Vision has it, content counts before a source, and imageUri before gcsImageUri."""
    image = _object("image", value, ("content", "source")) if value is not None else {}
    if image.get("content"):
        return {"content": image["content"]}
    if "source" not in image:
        return None
    source = _object("image.source", image["source"], ("imageUri", "gcsImageUri"))
    return {"source": {"imageUri": source.get("imageUri") or source.get("gcsImageUri")}}


def _max_results(value: object) -> int:
    """Read the only feature; 0 where it leaves the number open."""
    if not isinstance(value, list) or not value:
        raise invalid("features", f"one, {PRODUCT_SEARCH[0]}", value)
    features = [_object("features[]", feature, _FEATURE) for feature in value]
    if others := [x.get("type") for x in features if x.get("type") not in PRODUCT_SEARCH]:
        raise BadRequest(
            f"features[].type: expected {PRODUCT_SEARCH[0]}; found {str(others[0])[:60]!r}. Ask "
            "Vision itself for other features, in a request of their own.",
            reason="FEATURE_UNSUPPORTED",
        )
    most = whole_number(features[0].get("maxResults", 0))
    if most is None or most < 0 or len(features) > 1:
        raise invalid("features", "one, whose maxResults is 0 or more", value)
    return most


def _polygon(value: object) -> dict[str, Any]:
    """A polygon with all its coordinates: Google's clients leave out those that are 0."""
    if value is None:
        return {}
    polygon = _object("boundingPoly", value, ("vertices", "normalizedVertices"))
    return {name: _vertices(vertices) for name, vertices in polygon.items() if vertices}


def _vertices(value: object) -> object:
    if not isinstance(value, list):
        return value
    return [{"x": 0, "y": 0, **vertex} if isinstance(vertex, dict) else vertex for vertex in value]


def _object(name: str, value: object, known: tuple[str, ...]) -> dict[str, Any]:
    """An object, without its members that are null."""
    if not isinstance(value, dict):
        raise invalid(name, "an object", value)
    return known_members(value, known)


def _named(result: dict[str, Any], parent: str) -> dict[str, Any]:
    if not parent:
        return result
    product = result["product"]
    return {
        **result,
        "product": {**product, "name": f"{parent}/{product['name']}"},
        "image": f"{parent}/{result['image']}",
    }
