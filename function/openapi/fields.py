"""What a search may ask: one schema for each of `function.fields.FIELDS`."""

from ..api import DEFAULT_PAGE_SIZE
from ..facets import CATEGORY, MAX_FACET_VALUES
from ..fields import (
    MAX_CATEGORIES,
    MAX_EXCLUDED_PRODUCTS,
    MAX_EXPLAINED,
    MAX_FACETS,
    MAX_ID_CHARACTERS,
    MAX_IMAGES_PER_PRODUCT,
    MAX_PAGE_SIZE,
)
from ..masks import MAX_MASK_CHARACTERS
from ..ranking import DEPTH
from .schemas import FLAG, TEXT, Schema, described, ref

_NAME = {**TEXT, "maxLength": MAX_ID_CHARACTERS}
_NAMED = {**_NAME, "minLength": 1}
_PATHS = {**TEXT, "maxLength": MAX_MASK_CHARACTERS}

FIELDS: dict[str, Schema] = {
    "boundingPoly": described(
        ref("Polygon"), "The part of the photo to search: its bounding rectangle."
    ),
    "pageSize": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_PAGE_SIZE,
        "default": DEFAULT_PAGE_SIZE,
        "description": "Products to return.",
    },
    "pageToken": described(
        _NAME,
        "`nextPageToken` of the answer before, with the same photo and fields. "
        f"Pages end after {DEPTH} products.",
    ),
    "scoreThreshold": {
        "type": "number",
        "minimum": -1,
        "maximum": 1,
        "description": "The lowest `score` to return.",
    },
    "imagesPerProduct": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_IMAGES_PER_PRODUCT,
        "default": 1,
        "description": "Photos of each product to return, best first.",
    },
    "filter": {
        **TEXT,
        "description": "On labels, in Vision Product Search's language, with NOT and nesting.",
        "examples": ["(color=red OR color=blue) AND style=kids"],
    },
    "productCategories": {
        "type": "array",
        "items": _NAMED,
        "maxItems": MAX_CATEGORIES,
        "description": "The product's category is one of these.",
    },
    "productSet": described(_NAME, "The product belongs to this set."),
    "excludeProductIds": {
        "type": "array",
        "items": _NAMED,
        "maxItems": MAX_EXCLUDED_PRODUCTS,
        "description": "Products to leave out.",
    },
    "collapseDuplicates": {
        **FLAG,
        "default": False,
        "description": "Of products that are found by the same picture, return the first alone.",
    },
    "explain": {
        **FLAG,
        "default": False,
        "description": "Say where in the photos each score lies; with a pageSize of "
        f"{MAX_EXPLAINED} at most.",
    },
    "facets": {
        "type": "array",
        "items": _NAMED,
        "maxItems": MAX_FACETS,
        "description": f"Keys of labels, or {CATEGORY}, whose values are counted: of those of "
        f"each key the {MAX_FACET_VALUES} with the most products. Counted are all products that "
        f"may be returned; with a scoreThreshold, those of the first {DEPTH} that reach it.",
    },
    "fields": {
        "anyOf": [_PATHS, {"type": "array", "items": _PATHS}],
        "description": "The members of the answer that are wanted, as paths with dots between "
        "names and commas between paths; without it, all.",
        "examples": ["productSearchResults.results.product.name,nextPageToken"],
    },
}
