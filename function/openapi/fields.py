"""What a search may ask: one schema for each of `function.fields.FIELDS`, and the requests."""

from ..api import DEFAULT_PAGE_SIZE
from ..events import MAX_POSITION, TYPES
from ..facets import CATEGORY
from ..fields import (
    MAX_CATEGORIES,
    MAX_EXCLUDED_PRODUCTS,
    MAX_EXPLAINED,
    MAX_FACETS,
    MAX_ID_CHARACTERS,
    MAX_IMAGES_PER_PRODUCT,
    MAX_PAGE_SIZE,
    SIMILAR,
)
from ..masks import MAX_MASK_CHARACTERS
from ..objects import MAX_OBJECTS
from ..ranking import DEPTH
from ..region import MAX_VERTICES, MIN_VERTICES
from ..vision import MAX_IMAGES
from .schemas import FLAG, NUMBER, REQUEST_ID, TEXT, Schema, described, items, ref

_NAME = {**TEXT, "maxLength": MAX_ID_CHARACTERS}
_NAMED = {**_NAME, "minLength": 1}

# A photo that every release can search with: a PNG of 16 px, red above and blue below.
_EXAMPLE_PHOTO = (
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAIElEQVR42mO8oyHHQApgYiARjGogBjDKadwZDaWB1wAA"
    "YnsCY3k7XWIAAAAASUVORK5CYII="
)

FIELDS: dict[str, Schema] = {
    "boundingPoly": ref("BoundingPoly"),
    "maxObjects": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_OBJECTS,
        "default": 0,
        "description": "Things to look for in the photo, for `productGroupedResults`; a product is "
        "then as near as to the photo or to the nearest of them. Each costs one more inference, "
        "and finding them another. Not with `boundingPoly`, nor `explain`.",
    },
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
        "description": "Say where the photos are alike; with it pageSize is "
        f"{MAX_EXPLAINED} at most.",
    },
    "facets": {
        "type": "array",
        "items": _NAMED,
        "maxItems": MAX_FACETS,
        "description": f"Label keys, or {CATEGORY}, whose values are counted.",
    },
    "fields": {
        "anyOf": [
            {**TEXT, "maxLength": MAX_MASK_CHARACTERS},
            {**items({**TEXT, "maxLength": MAX_MASK_CHARACTERS})},
        ],
        "description": "Members of the answer that are wanted, as paths; the others are left out.",
    },
}


def _request(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """A body in which nothing else may stand: a misspelt field is refused."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def in_a_form(schema: Schema) -> Schema:
    """A list is a repeated part; one part alone is a list of one."""
    if schema.get("type") != "array":
        return schema
    return {
        "anyOf": [
            {"type": "array", "items": schema["items"], "maxItems": schema["maxItems"]},
            schema["items"],
        ],
        "description": schema["description"],
    }


def _vertices(name: str) -> Schema:
    vertices = {**items(ref("Vertex")), "minItems": MIN_VERTICES, "maxItems": MAX_VERTICES}
    return _request({name: vertices}, (name,))


REQUESTS: dict[str, Schema] = {
    "SearchRequest": {
        **_request({"image": ref("SearchImage"), **FIELDS}, ("image",)),
        "examples": [{"image": {"content": _EXAMPLE_PHOTO}, "pageSize": 5}],
    },
    "SearchForm": _request(
        {
            "image": {
                **TEXT,
                "format": "binary",
                "description": "JPEG, PNG, WebP, GIF, BMP or AVIF, as a file part.",
            },
            **{name: in_a_form(schema) for name, schema in FIELDS.items()},
        },
        ("image",),
    ),
    "SimilarRequest": _request({name: FIELDS[name] for name in SIMILAR.fields}),
    "BoundingPoly": {
        "description": "The part of the upright photo that is searched: its bounding rectangle.",
        "oneOf": [_vertices("vertices"), _vertices("normalizedVertices")],
    },
    "Vertex": _request(
        {
            "x": described(NUMBER, "From the left: pixels, or a fraction; 0 where absent."),
            "y": described(NUMBER, "From above; 0 where absent."),
        }
    ),
    "Event": {
        **_request(
            {
                "requestId": described(REQUEST_ID, "Of the search that found the product."),
                "type": {"enum": list(TYPES)},
                "productId": _NAMED,
                "position": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "maximum": MAX_POSITION,
                    "description": "Its place among the results, from 1.",
                },
            },
            ("requestId", "type", "productId"),
        ),
        "examples": [{"requestId": "5f0c", "type": "click", "productId": "42", "position": 1}],
    },
    "AnnotateRequest": {
        **_request(
            {
                "requests": {
                    "type": "array",
                    "items": {},
                    "minItems": 1,
                    "maxItems": MAX_IMAGES,
                    "description": "Of Vision's AnnotateImageRequest, with the feature "
                    "PRODUCT_SEARCH. What is wrong with one is told in its place.",
                },
                "parent": described({}, "As Vision has it: projects/P/locations/L."),
                "labels": described({}, "Vision's; they change nothing."),
            },
            ("requests",),
        ),
        "examples": [
            {
                "requests": [
                    {
                        "image": {"content": _EXAMPLE_PHOTO},
                        "features": [{"type": "PRODUCT_SEARCH", "maxResults": 5}],
                    }
                ]
            }
        ],
    },
    "SearchImage": {
        "description": "A photo: its bytes, or where they lie.",
        "oneOf": [
            _request(
                {
                    "content": {
                        **TEXT,
                        "minLength": 1,
                        "contentEncoding": "base64",
                        "description": "JPEG, PNG, WebP, GIF, BMP or AVIF.",
                    }
                },
                ("content",),
            ),
            _request({"source": ref("ImageSource")}, ("source",)),
        ],
    },
    "ImageSource": _request(
        {
            "imageUri": {
                **TEXT,
                "pattern": "^gs://",
                "description": "gs://bucket/object, in a bucket that the function may read.",
            }
        },
        ("imageUri",),
    ),
}
