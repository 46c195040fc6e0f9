"""What comes back: the schemas of what `function.answer` writes."""

from typing import get_args

from ..answer import MAX_LISTED
from ..errors import ReleaseFault
from .schemas import FLAG, NUMBER, TEXT, WHOLE, Schema, described, items, ref, structure

_NEXT_PAGE = described(TEXT, "`pageToken` of the page that follows; empty after the last.")
_MODEL = described(TEXT, "Which network made the vectors.")
_INDEX = described(TEXT, "Which index was searched. Page tokens are bound to it.")
_INDEX_TIME = {**TEXT, "format": "date-time", "description": "When the release was made."}

_PHOTO: dict[str, Schema] = {
    "image": described(TEXT, "products/{id}/referenceImages/{image}."),
    "imageUrl": described(TEXT, "Address of the photo; empty where it is not stored."),
    "thumbnailUrl": described(TEXT, "Address of its smaller copy, or of the photo itself."),
}

_PRODUCT: dict[str, Schema] = {
    "name": described(TEXT, "products/{id}."),
    "displayName": described(TEXT, "For people; may be empty."),
    "productCategory": described(TEXT, "May be empty."),
    "productLabels": described(items(ref("Label")), "What a filter compares; a key may repeat."),
    "price": described(TEXT, "As the shop writes it, with its currency; may be empty."),
}

_FACETS = described(items(ref("Facet")), "Where the request asks for them.")
_GRID: Schema = items(items(NUMBER))

_NAMES_OR_NULL: Schema = {
    "type": ["array", "null"],
    "items": TEXT,
    "description": f"null where there are more than {MAX_LISTED}.",
}

ANSWERS: dict[str, Schema] = {
    "SearchAnswer": structure(
        {
            "productSearchResults": ref("ProductSearchResults"),
            "facets": _FACETS,
            "noConfidentMatch": described(
                FLAG, "Whether even the best result is below the threshold that the index states."
            ),
            "explanationUnavailable": described(TEXT, "Why there are no explanations."),
            "objectsUnavailable": described(TEXT, "Why no things in the photo are told apart."),
            "nextPageToken": _NEXT_PAGE,
            "modelVersion": _MODEL,
            "indexVersion": _INDEX,
            "requestId": described(TEXT, "The same as the header X-Request-Id."),
            "timingsMs": {
                "type": "object",
                "additionalProperties": {**NUMBER, "minimum": 0},
                "description": "Milliseconds by stage.",
            },
            "coldStart": described(FLAG, "Whether the request waited for the release to load."),
        },
        optional=("facets", "noConfidentMatch", "explanationUnavailable", "objectsUnavailable"),
    ),
    "ProductSearchResults": structure(
        {
            "indexTime": _INDEX_TIME,
            "results": described(items(ref("Result")), "One for each product, best first."),
            "productGroupedResults": described(
                items(ref("ProductGroup")),
                "Where maxObjects asks for it, on the first page: one for each thing found, the "
                "surest first; or one for the whole photo.",
            ),
        },
        optional=("productGroupedResults",),
    ),
    "ProductGroup": structure(
        {"boundingPoly": ref("Polygon"), "results": items(ref("Result"))},
    ),
    "Polygon": structure({"normalizedVertices": items(structure({"x": NUMBER, "y": NUMBER}))}),
    "Result": structure(
        {
            "product": ref("Product"),
            "score": described(NUMBER, "Cosine similarity of the nearest photo, -1 to 1."),
            "matchProbability": described(
                NUMBER, "That it is the photo's product; absent where it was not measured."
            ),
            **_PHOTO,
            "explanation": ref("Explanation"),
            "images": described(
                items(ref("Photo")), "Where imagesPerProduct asks for several: all, nearest first."
            ),
        },
        optional=("matchProbability", "explanation", "images"),
    ),
    "Explanation": {
        **structure({"photo": _GRID, "product": _GRID}, optional=("product",)),
        "description": "Rows from the top left over the searched region, and over the product's "
        "photo where it is stored; each grid sums to the score.",
    },
    "Facet": structure({"key": TEXT, "values": items(ref("FacetValue"))}),
    "FacetValue": structure({"value": TEXT, "count": WHOLE}),
    "ProductPage": structure(
        {
            "products": items(ref("ListedProduct")),
            "totalSize": described(WHOLE, "Of all pages together."),
            "nextPageToken": _NEXT_PAGE,
            "facets": _FACETS,
        },
        optional=("facets",),
    ),
    "ListedProduct": structure({**_PRODUCT, **_PHOTO}),
    "AnnotateAnswer": structure({"responses": items(ref("ImageAnswer"))}),
    "ImageAnswer": structure(
        {"productSearchResults": ref("GroupedResults"), "error": ref("ImageError")},
        optional=("productSearchResults", "error"),
    ),
    "GroupedResults": structure(
        {
            "indexTime": _INDEX_TIME,
            "results": items(ref("Result")),
            "productGroupedResults": items(
                structure(
                    {
                        "boundingPoly": {"type": "object", "additionalProperties": True},
                        "results": items(ref("Result")),
                    }
                )
            ),
        }
    ),
    "ImageError": structure(
        {"code": WHOLE, "message": TEXT, "status": TEXT, "reason": ref("ErrorReason")}
    ),
    "Product": structure(_PRODUCT),
    "ProductDetail": structure({**_PRODUCT, "images": items(ref("Photo"))}),
    "Photo": structure(_PHOTO),
    "Label": structure({"key": TEXT, "value": TEXT}),
    "Index": structure(
        {
            "release": TEXT,
            "indexTime": _INDEX_TIME,
            "modelVersion": _MODEL,
            "indexVersion": _INDEX,
            "model": structure({"architecture": TEXT, "embeddingDim": WHOLE, "imageSize": WHOLE}),
            "index": structure(
                {
                    "kind": TEXT,
                    "recallAt10": described(NUMBER, "Beside exact search, measured."),
                }
            ),
            "counts": structure({"products": WHOLE, "images": WHOLE}),
            "productCategories": _NAMES_OR_NULL,
            "productSets": _NAMES_OR_NULL,
            "labelKeys": _NAMES_OR_NULL,
            "evaluation": {
                "type": "object",
                "additionalProperties": True,
                "description": "How well it did on products that it was not trained on.",
            },
            "calibration": {
                "type": ["object", "null"],
                "additionalProperties": True,
                "description": "What matchProbability and noConfidentMatch were measured to mean.",
            },
            "refusedRelease": ref("RefusedRelease"),
        },
        optional=("calibration", "refusedRelease"),
    ),
    "RefusedRelease": {
        **structure(
            {
                "release": described(TEXT, "Empty where the root names none."),
                "reason": {
                    "enum": list(get_args(ReleaseFault)),
                    "description": "What is wrong with it; the function's log says more.",
                },
                "time": {**TEXT, "format": "date-time", "description": "When that was found."},
            }
        ),
        "description": "The release that should be served, and cannot be: the one before serves "
        "on. Absent where the current release is served.",
    },
    "Health": structure({"status": {"enum": ["live", "ready"]}}),
}
