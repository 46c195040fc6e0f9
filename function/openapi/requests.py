"""The bodies of requests."""

from ..envelope import REQUEST_ID
from ..events import MAX_POSITION
from ..events import TYPES as EVENT_TYPES
from ..fields import MAX_ID_CHARACTERS, SIMILAR
from ..region import MAX_VERTICES, MIN_VERTICES
from ..vision import MAX_IMAGES, PRODUCT_SEARCH
from .fields import FIELDS
from .schemas import (
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    closed_structure,
    described,
    items,
    ref,
    structure,
)

# A photo that every release can search with: a PNG of 16 px, red above and blue below.
_EXAMPLE_PHOTO = (
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAIElEQVR42mO8oyHHQApgYiARjGogBjDKadwZDaWB1wAA"
    "YnsCY3k7XWIAAAAASUVORK5CYII="
)

_VERTICES: Schema = {
    "type": "array",
    "items": ref("Vertex"),
    "minItems": MIN_VERTICES,
    "maxItems": MAX_VERTICES,
}


def _in_a_form(schema: Schema) -> Schema:
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


REQUESTS: dict[str, Schema] = {
    "SearchRequest": {
        **closed_structure({"image": ref("SearchImage"), **FIELDS}, required=("image",)),
        "examples": [{"image": {"content": _EXAMPLE_PHOTO}, "pageSize": 5}],
    },
    "SearchForm": closed_structure(
        {
            "image": {
                **TEXT,
                "format": "binary",
                "description": "JPEG, PNG, WebP, GIF, BMP or AVIF, as a file part.",
            },
            **{name: _in_a_form(schema) for name, schema in FIELDS.items()},
        },
        required=("image",),
    ),
    "SearchImage": {
        "description": "A photo: its bytes, or where they lie.",
        "oneOf": [
            closed_structure(
                {
                    "content": {
                        **TEXT,
                        "minLength": 1,
                        "contentEncoding": "base64",
                        "description": "JPEG, PNG, WebP, GIF, BMP or AVIF.",
                    }
                },
                required=("content",),
            ),
            closed_structure({"source": ref("ImageSource")}, required=("source",)),
        ],
    },
    "ImageSource": closed_structure(
        {
            "imageUri": {
                **TEXT,
                "pattern": "^gs://",
                "description": "gs://bucket/object, in a bucket that the function may read.",
            }
        },
        required=("imageUri",),
    ),
    "SimilarRequest": {
        **closed_structure({name: FIELDS[name] for name in SIMILAR.fields}),
        "examples": [{"pageSize": 5}],
    },
    "Polygon": {
        "description": "Its corners, from the upper left of the upright photo; what reaches "
        "beyond is cut off.",
        "oneOf": [
            closed_structure({"normalizedVertices": _VERTICES}, required=("normalizedVertices",)),
            closed_structure({"vertices": _VERTICES}, required=("vertices",)),
        ],
    },
    "Vertex": described(
        closed_structure({"x": NUMBER, "y": NUMBER}),
        "Pixels, or fractions of the photo's sides; what is absent is 0.",
    ),
    "EventRequest": closed_structure(
        {
            "requestId": {**TEXT, "pattern": f"^(?:{REQUEST_ID.pattern})$"},
            "type": {"enum": list(EVENT_TYPES)},
            "productId": {**TEXT, "minLength": 1, "maxLength": MAX_ID_CHARACTERS},
            "position": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": MAX_POSITION,
                "description": "Its place among the results, from 1.",
            },
        },
        required=("requestId", "type", "productId"),
    ),
    "AnnotateRequest": closed_structure(
        {
            "requests": {
                "type": "array",
                # What is wrong with one image is told in its place, not by refusing all.
                "items": {"anyOf": [ref("AnnotateImageRequest"), {}]},
                "minItems": 1,
                "maxItems": MAX_IMAGES,
            },
            "parent": described({}, "projects/P/locations/L, under which products are named."),
            "labels": described({}, "Not read."),
        },
        required=("requests",),
    ),
    "AnnotateImageRequest": structure(
        {
            "image": structure(
                {
                    "content": {**TEXT, "contentEncoding": "base64"},
                    "source": structure({"imageUri": TEXT}),
                },
                optional=("content", "source"),
            ),
            "features": items(
                structure(
                    {"type": {"enum": list(PRODUCT_SEARCH)}, "maxResults": WHOLE},
                    optional=("maxResults",),
                )
            ),
            "imageContext": structure(
                {
                    "productSearchParams": structure(
                        {
                            "productSet": TEXT,
                            "productCategories": items(TEXT),
                            "filter": TEXT,
                            "boundingPoly": ref("Polygon"),
                        },
                        optional=("productSet", "productCategories", "filter", "boundingPoly"),
                    )
                },
                optional=("productSearchParams",),
            ),
        },
        optional=("imageContext",),
    ),
}
