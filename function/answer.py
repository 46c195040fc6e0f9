"""The wire format of answers: what the engine found, in the API's words (lowerCamelCase)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .catalog import ImageRow, Product, ProductCatalog
from .manifest import Manifest
from .search import Match, SearchResult

MAX_LISTED = 100

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
    return {
        "productSearchResults": {
            "indexTime": manifest.created,
            "results": [_match(match, links) for match in result.matches],
        },
        "nextPageToken": result.next_page_token,
        "modelVersion": manifest.model.model_id,
        "indexVersion": manifest.index.index_id,
        "requestId": request_id,
        "timingsMs": dict(timings_ms),
        "coldStart": cold_start,
    }


def _match(match: Match, links: Links) -> dict[str, Any]:
    images = [_image(image, links) for image in match.images]
    answer = {"product": _product(match.product), "score": round(match.score, 6), **images[0]}
    return {**answer, "images": images} if len(images) > 1 else answer


def product_answer(product: Product, images: Sequence[ImageRow], links: Links) -> dict[str, Any]:
    """One product with all its photos."""
    return {**_product(product), "images": [_image(image, links) for image in images]}


def index_answer(manifest: Manifest, catalog: ProductCatalog) -> dict[str, Any]:
    """What is indexed, with which model, and how well it did on unseen products.

    Categories, product sets and keys of labels are listed up to MAX_LISTED; where there are more,
    they are null.
    """
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
    }


def _few(names: list[str]) -> list[str] | None:
    return names if len(names) <= MAX_LISTED else None


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
    return [_camel(item) for item in value] if isinstance(value, list) else value
