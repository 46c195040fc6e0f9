"""The wire format of answers: what the engine found, in the API's words (lowerCamelCase)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .browse import BrowseResult
from .calibration import Calibration
from .catalog import Catalog, ImageRow, Product
from .explanation import Explanation
from .facets import Facet
from .manifest import Manifest
from .region import polygon_of
from .search import Group, Match, SearchResult
from .service import Refusal, Service

MAX_LISTED = 100

# Fewer would make a certainty of what 2,000 products, the most that are asked, leave open.
PROBABILITY_DIGITS = 4

_AFTER_UNDERSCORE = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True)
class Links:
    """Where a browser finds stored photos.

    Attributes:
        image_base_url: address of the root's images/; "" where the function gives them out.
        origin: the address that the caller used for the function, as https://host.
    """

    image_base_url: str
    origin: str

    def photo(self, image: ImageRow) -> str:
        """Address of a product's photo."""
        return image.url or self._stored(image.sha256)

    def thumbnail(self, image: ImageRow) -> str:
        """Address of its smaller copy, or of the photo itself where there is none."""
        return image.thumbnail_url or self._stored(image.thumbnail_sha256) or self.photo(image)

    def _stored(self, sha256: str) -> str:
        if not sha256:
            return ""
        if self.image_base_url:
            return f"{self.image_base_url}/{sha256}.jpg"
        return f"{self.origin}/v1/images/{sha256}"


def search_answer(
    result: SearchResult,
    manifest: Manifest,
    links: Links,
    *,
    request_id: str,
    timings_ms: Mapping[str, float],
    cold_start: bool,
) -> dict[str, Any]:
    """The answer to a search.

    Args:
        result: what was found.
        manifest: of the release that found it.
        links: where its photos are.
        request_id: of the request.
        timings_ms: milliseconds by stage.
        cold_start: whether the request waited for the release to load.
    """
    calibrated = {} if result.confident is None else {"noConfidentMatch": not result.confident}
    reasons = {
        "explanationUnavailable": result.explanation_unavailable,
        "objectsUnavailable": result.objects_unavailable,
    }
    return {
        "productSearchResults": {
            "indexTime": manifest.created,
            "results": [_match(match, links) for match in result.matches],
            **_groups(result.groups, links),
        },
        **_facets(result.facets),
        **{name: why for name, why in reasons.items() if why},
        "nextPageToken": result.next_page_token,
        **calibrated,
        "modelVersion": manifest.model.model_id,
        "indexVersion": manifest.index.index_id,
        "requestId": request_id,
        "timingsMs": dict(timings_ms),
        "coldStart": cold_start,
    }


def _groups(groups: Sequence[Group], links: Links) -> dict[str, Any]:
    """Nothing, where none were asked for."""
    told = [
        {
            "boundingPoly": polygon_of(group.box),
            "results": [_match(match, links) for match in group.matches],
        }
        for group in groups
    ]
    return {"productGroupedResults": told} if told else {}


def _match(match: Match, links: Links) -> dict[str, Any]:
    images = [_image(image, links) for image in match.images]
    answer: dict[str, Any] = {
        "product": _product(match.product),
        "score": round(match.score, 6),
    }
    if match.probability is not None:
        answer["matchProbability"] = round(match.probability, PROBABILITY_DIGITS)
    answer |= images[0]
    if match.explanation is not None:
        answer["explanation"] = _explanation(match.explanation)
    return {**answer, "images": images} if len(images) > 1 else answer


def _explanation(explanation: Explanation) -> dict[str, list[list[float]]]:
    grids = {"photo": explanation.photo, "product": explanation.product}
    return {name: grid.round(6).tolist() for name, grid in grids.items() if grid is not None}


def browse_answer(result: BrowseResult, links: Links) -> dict[str, Any]:
    """A page of the catalogue: each product with its first photo."""
    return {
        "products": [
            {**_product(product), **_image(image, links)} for product, image in result.products
        ],
        "totalSize": result.total_size,
        "nextPageToken": result.next_page_token,
        **_facets(result.facets),
    }


def product_answer(product: Product, images: Sequence[ImageRow], links: Links) -> dict[str, Any]:
    """One product with all its photos."""
    return {**_product(product), "images": [_image(image, links) for image in images]}


def index_answer(service: Service, catalog: Catalog) -> dict[str, Any]:
    """What is indexed, with which model, and how well it did on unseen products.

    Args:
        service: what answers.
        catalog: its catalogue.

    Categories, product sets and keys of labels are listed up to MAX_LISTED; where there are more,
    they are null.
    """
    manifest = service.engine.manifest
    refusal = service.refusal
    return {
        "release": manifest.release_id,
        "indexTime": manifest.created,
        "modelVersion": manifest.model.model_id,
        "indexVersion": manifest.index.index_id,
        "model": {
            "architecture": manifest.model.architecture,
            "embeddingDim": manifest.model.embedding_dim,
            "imageSize": manifest.model.image_size,
        },
        "index": {"kind": manifest.index.kind, "recallAt10": manifest.index.recall_at_10},
        "counts": {"products": manifest.counts.products, "images": manifest.counts.images},
        "productCategories": _few(catalog.categories(MAX_LISTED + 1)),
        "productSets": _few(catalog.product_sets(MAX_LISTED + 1)),
        "labelKeys": _few(catalog.label_keys(MAX_LISTED + 1)),
        "evaluation": _camel(manifest.evaluation),
        "calibration": _measured(manifest.calibration) if manifest.calibration else None,
        **({"refusedRelease": _refusal(refusal)} if refusal else {}),
    }


def _refusal(refusal: Refusal) -> dict[str, str]:
    return {"release": refusal.release_id, "reason": refusal.fault, "time": refusal.time}


def _measured(calibration: Calibration) -> dict[str, Any]:
    """All but the curves."""
    values = asdict(calibration)
    del values["first"], values["later"]
    figures: dict[str, Any] = _camel(values)
    return figures


def _few(names: list[str]) -> list[str] | None:
    return names if len(names) <= MAX_LISTED else None


def _facets(facets: Sequence[Facet]) -> dict[str, Any]:
    """Nothing, where none were asked for."""
    told = [
        {
            "key": facet.key,
            "values": [{"value": value, "count": count} for value, count in facet.values],
        }
        for facet in facets
    ]
    return {"facets": told} if told else {}


def _product(product: Product) -> dict[str, Any]:
    return {
        "name": f"products/{product.id}",
        "displayName": product.title,
        "productCategory": product.category,
        "productLabels": [{"key": key, "value": value} for key, value in product.labels],
        "price": product.price,
    }


def _image(image: ImageRow, links: Links) -> dict[str, str]:
    return {
        "image": f"products/{image.product_id}/referenceImages/{image.image_id}",
        "imageUrl": links.photo(image),
        "thumbnailUrl": links.thumbnail(image),
    }


def _camel(value: Any) -> Any:
    """Spell the keys of nested objects in lowerCamelCase: recall_at_1 becomes recallAt1."""
    if isinstance(value, dict):
        return {
            _AFTER_UNDERSCORE.sub(lambda found: found[1].upper(), key): _camel(item)
            for key, item in value.items()
        }
    return [_camel(item) for item in value] if isinstance(value, list | tuple) else value
