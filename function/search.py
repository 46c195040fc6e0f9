"""Photo to products: the one place that joins embedder, index and catalogue."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calibration import Calibration
from .catalog import Catalog, ImageRow, Product
from .embedder import Embedder
from .explanation import Explainer, Explanation
from .facets import Facet
from .filters import EVERYTHING, Selection
from .manifest import Manifest
from .objects import ObjectFinder, Part
from .paging import pages_of
from .ranking import DEPTH, Ranked, rank_products
from .region import Box
from .vector_index import VectorIndex

# Of a product that others are looked for by, its first photos are compared, so many at most: each
# costs a search of the index.
MAX_QUERY_PHOTOS = 4


@dataclass(frozen=True)
class Match:
    """A product that looks like the photo.

    Attributes:
        product: which.
        score: cosine similarity of its nearest photo, -1 to 1.
        images: its nearest photo, then others of it if more are wanted: those the search came
            by, nearest first, then the rest.
        probability: that it is the photo's product; None where the release is not calibrated, or
            another product was looked for.
        explanation: where in the photos its score lies; None where nobody asked or can say.
    """

    product: Product
    score: float
    images: tuple[ImageRow, ...]
    probability: float | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Group:
    """What looks like one part of the photo.

    Attributes:
        box: the part, in fractions of the upright photo's sides.
        matches: one for each product, best first.
    """

    box: Box
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        matches: one for each product, best first.
        next_page_token: of the page that follows; "" after the last.
        facets: one for each key that was asked for.
        timings_ms: milliseconds spent, by stage: "search", and "embed" where a photo was searched.
        confident: whether the best of all pages is a confident match; None where the release is
            not calibrated, or more than a photo was looked for, or a product.
        groups: what looks like each of the photo's parts; of the first page, where there are any.
        explanation_unavailable: why matches that were to be explained are not; else "".
        objects_unavailable: why objects that were to be found are not; else "".
    """

    matches: tuple[Match, ...]
    next_page_token: str = ""
    facets: tuple[Facet, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    confident: bool | None = None
    groups: tuple[Group, ...] = ()
    explanation_unavailable: str = ""
    objects_unavailable: str = ""


class SearchEngine:
    """One release, loaded. Safe to use from several threads.

    Attributes:
        manifest: what the release says about itself.
        catalog: its products.
        embedder: its network.
        index: its catalogue's vectors.
        index_release_id: of the release that the index was loaded from: this, or an earlier one
            that has the same.
        image_size: side of the square photo it takes, in pixels.
        explainer: says where in the photos a match's score lies.
        objects: says where in a photo things are.
    """

    def __init__(
        self,
        embedder: Embedder,
        index: VectorIndex[Any],
        catalog: Catalog,
        manifest: Manifest,
        *,
        index_release_id: str | None = None,
    ) -> None:
        self.manifest = manifest
        self.index_release_id = index_release_id or manifest.release_id
        self.catalog = catalog
        self.image_size = manifest.model.image_size
        self.explainer = Explainer(embedder, index, manifest.model)
        self.objects = ObjectFinder[Any](embedder, index, manifest.model)
        self.embedder = embedder
        self.index = index

    def search(
        self,
        looked_for: NDArray[np.uint8] | str,
        page_size: int = 10,
        *,
        parts: Sequence[Part] = (),
        page_token: str = "",
        score_threshold: float = -1.0,
        images_per_product: int = 1,
        selection: Selection = EVERYTHING,
        collapse_duplicates: bool = False,
        facets: tuple[str, ...] = (),
        deadline: float = math.inf,
    ) -> SearchResult:
        """Find the products that look most like a photo, or like a product's own photos.

        A product is as near to another as any of its photos to any of the other's first
        MAX_QUERY_PHOTOS, and is never found by itself.

        A page is full wherever there are enough products. The pages of a query never repeat or
        leave out a product, and end after the first `ranking.DEPTH`.

        Args:
            looked_for: RGB [image_size, image_size, 3], as `photo.load_pixels` returns it; or the
                id of a product.
            page_size: how many products, at most.
            parts: of the photo, that are looked for beside it: a product is as near as to the
                nearest of them, and the first page has a group for each. No probability is told
                then: it is measured for photos alone.
            page_token: `next_page_token` of the page before, for the same query; "" for the first.
            score_threshold: the least cosine similarity of a product's nearest photo.
            images_per_product: how many of its photos each match brings, at most.
            selection: which products may be found.
            collapse_duplicates: of products whose nearest photo is the same picture, bring the
                first alone.
            facets: keys whose values are counted: over all products of the selection; with a
                threshold, over those of the first `ranking.DEPTH` that reach it.
            deadline: a time of `time.monotonic`, for the index and the catalogue.

        Raises:
            BadRequest: the token is none, or belongs to another index or query.
            KeyError: there is no such product.
            Unavailable, DeadlineExceeded: see `VectorIndex.search`.
        """
        if isinstance(looked_for, str):
            selection = replace(selection, excluded=selection.excluded | {looked_for})
        fields = (
            score_threshold,
            images_per_product,
            *selection.plain_values(),
            collapse_duplicates,
            *(part.box for part in parts),
        )
        pages = pages_of(self.manifest.index.index_id, looked_for, fields)
        place = pages.place(page_token)
        end = min(place + page_size, DEPTH)
        is_cut = score_threshold > -1
        index, catalog = self.index.until(deadline), self.catalog.until(deadline)
        timings = {}
        start = time.perf_counter()
        if isinstance(looked_for, str):
            vectors = _vectors_of(looked_for, index, catalog)
        else:
            vectors = self.embedder.embed(np.stack([looked_for, *(part.pixels for part in parts)]))
            timings["embed"] = (time.perf_counter() - start) * 1e3
            start = time.perf_counter()
        rank = partial(
            rank_products,
            index,
            allowed=index.allowed(selection),
            score_threshold=score_threshold,
            collapse_duplicates=collapse_duplicates,
        )
        ranking = rank(
            vectors,
            DEPTH if facets and is_cut else min(end + 1, DEPTH),
        )
        # Whose product is known is not asked for: what is found beside it is never that product.
        # Several tries at one photo find more by chance than one does.
        is_measured = not isinstance(looked_for, str) and not parts
        calibration = self.manifest.calibration if is_measured else None
        best = ranking[0].score if ranking else None
        matched = partial(_matches, catalog, wanted=images_per_product)
        matches = matched(ranking[place:end], place=place, calibration=calibration)
        groups = tuple(
            Group(part.box, matched(rank(vector, page_size)))
            for part, vector in zip(parts, vectors[len(vectors) - len(parts) :], strict=True)
            if not place
        )
        counted: tuple[Facet, ...] = ()
        if facets and is_cut:
            counted = catalog.facets_among(facets, [item.product for item in ranking])
        elif facets:
            counted = catalog.facets(facets, selection)
        timings["search"] = (time.perf_counter() - start) * 1e3
        return SearchResult(
            matches,
            next_page_token=pages.token(end) if len(ranking) > end else "",
            facets=counted,
            timings_ms=timings,
            confident=calibration.is_confident(best) if calibration else None,
            groups=groups,
        )


def _vectors_of(product_id: str, index: VectorIndex[Any], catalog: Catalog) -> NDArray[np.float32]:
    """A product's first photos [photos, dim], by row."""
    images = catalog.images_of(product_id)[:MAX_QUERY_PHOTOS]
    if not images:
        raise KeyError(product_id)
    return index.vectors(np.array([image.row for image in images]))


def _matches(
    catalog: Catalog,
    page: list[Ranked],
    *,
    wanted: int,
    place: int = 0,
    calibration: Calibration | None = None,
) -> tuple[Match, ...]:
    # All of a page's photos in one query.
    found = iter(catalog.shown([row for item in page for row in item.rows[:wanted]]))
    matches = []
    for number, item in enumerate(page, place):
        shown = list(islice(found, min(wanted, len(item.rows))))
        product, photos = shown[0][0], [image for _, image in shown]
        if len(photos) < wanted:
            seen = set(item.rows)
            photos += [image for image in catalog.images_of(product.id) if image.row not in seen]
        probability = calibration.match_probability(item.score, number) if calibration else None
        matches.append(Match(product, item.score, tuple(photos[:wanted]), probability))
    return tuple(matches)
