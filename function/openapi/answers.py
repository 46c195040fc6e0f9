"""What comes back: the schemas of what `function.answer` writes."""

from ..answer import MAX_LISTED
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
            "facets": described(items(ref("Facet")), "Where facets are asked for."),
            "nextPageToken": _NEXT_PAGE,
            "noConfidentMatch": described(
                FLAG,
                "Whether the best result of all pages is below the score that few photos of other "
                "products reach; where the release is calibrated.",
            ),
            "explanationUnavailable": described(TEXT, "Why results that were to be are not."),
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
        optional=("facets", "noConfidentMatch", "explanationUnavailable"),
    ),
    "ProductSearchResults": structure(
        {
            "indexTime": _INDEX_TIME,
            "results": described(items(ref("Result")), "One for each product, best first."),
        }
    ),
    "Result": structure(
        {
            "product": ref("Product"),
            "score": described(NUMBER, "Cosine similarity of the nearest photo, -1 to 1."),
            "matchProbability": {
                **NUMBER,
                "minimum": 0,
                "maximum": 1,
                "description": "That it is the photo's product; where the release is calibrated.",
            },
            **_PHOTO,
            "explanation": ref("Explanation"),
            "images": described(
                items(ref("Photo")), "Where imagesPerProduct asks for several: all, nearest first."
            ),
        },
        optional=("matchProbability", "explanation", "images"),
    ),
    "Explanation": described(
        structure({"photo": _GRID, "product": _GRID}, optional=("product",)),
        "Grids from the top left, each of which sums to the score: of the region that was "
        "searched, and of the product's photo, where that is stored.",
    ),
    "Facet": structure({"key": TEXT, "values": items(ref("FacetValue"))}),
    "FacetValue": structure({"value": TEXT, "count": described(WHOLE, "Of products.")}),
    "ProductList": structure(
        {
            "products": items(ref("ListedProduct")),
            "totalSize": described(WHOLE, "Products on all pages."),
            "nextPageToken": _NEXT_PAGE,
            "facets": described(items(ref("Facet")), "Where facets are asked for."),
        },
        optional=("facets",),
    ),
    "ListedProduct": described(structure({**_PRODUCT, **_PHOTO}), "With its first photo."),
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
            "evaluation": {
                "type": "object",
                "additionalProperties": True,
                "description": "How well it did on products that it was not trained on.",
            },
            "calibration": {
                "type": ["object", "null"],
                "additionalProperties": True,
                "description": "What scores were measured to mean; null where nothing was.",
            },
        }
    ),
    "AnnotateAnswer": structure({"responses": items(ref("AnnotateImageAnswer"))}),
    "AnnotateImageAnswer": described(
        structure(
            {"productSearchResults": ref("GroupedResults"), "error": ref("AnnotateError")},
            optional=("productSearchResults", "error"),
        ),
        "One of the two.",
    ),
    "GroupedResults": structure(
        {
            "indexTime": _INDEX_TIME,
            "results": items(ref("Result")),
            "productGroupedResults": items(
                structure({"boundingPoly": ref("Polygon"), "results": items(ref("Result"))})
            ),
        }
    ),
    "AnnotateError": structure(
        {"code": {"type": "integer"}, "message": TEXT, "status": TEXT, "reason": TEXT}
    ),
    "Health": structure({"status": {"enum": ["live", "ready"]}}),
}
