"""One search, in turn with others: photo fetched, decoded, embedded, compared.

A search by a product has no photo to decode or embed; it waits for its turn like the others.
"""

import re
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import photo
from ..answer import search_answer
from ..api import SearchRequest
from ..connection import has_left
from ..embedder import SharesUnavailable
from ..envelope import Exchange
from ..errors import BadRequest, ClientLeft, DeadlineExceeded
from ..objects import Part
from ..region import WHOLE, Region
from ..search import Group, SearchEngine, SearchResult
from ..service import Service
from ..storage import NotFoundInStorage, open_storage
from .context import Context, known_product

_SOURCE = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221}[a-z0-9])/(.{1,1024})", re.DOTALL)


class Finder:
    """Searches for those who ask, as many at a time as admission lets compute."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def answer(
        self,
        exchange: Exchange,
        service: Service,
        query: SearchRequest,
        deadline: float,
        *,
        is_admitted: bool = False,
    ) -> dict[str, Any]:
        """Return what is found, in the API's words.

        Args:
            exchange: of the caller, who may leave; told the stages' times.
            service: the release that is searched; it stays this one to the end.
            query: for what.
            deadline: a time of `time.monotonic`.
            is_admitted: whether the caller had its turn before: then it waits for another one
                however many do.

        Raises:
            FunctionError: there is no such product, the photo cannot be had or read, there is no
                turn, or no time left.
        """
        result = self._find(exchange, service, query, deadline, is_admitted)
        return search_answer(
            result,
            service.engine.manifest,
            self._context.links(exchange),
            request_id=exchange.request_id,
            timings_ms=exchange.stopwatch.timings_ms,
            # None only where nothing is searched for.
            cold_start=bool(exchange.cold_start),
        )

    def _find(
        self,
        exchange: Exchange,
        service: Service,
        query: SearchRequest,
        deadline: float,
        is_admitted: bool,
    ) -> SearchResult:
        stage = exchange.stopwatch.stage
        engine = service.engine
        content = query.content
        if query.product_id:
            known_product(engine.catalog.until(deadline), query.product_id)
        if query.image_uri:
            with stage("fetch"):
                content = self._read_source(query.image_uri, deadline)
        leaving = partial(has_left, exchange.request.environ)
        with ExitStack() as admitted:
            with stage("queue"):
                place = self._context.admission.place(
                    until=deadline, has_left=leaving, is_admitted=is_admitted
                )
                admitted.enter_context(place)
            looked_for: NDArray[np.uint8] | str = query.product_id
            if not looked_for:
                with stage("decode"):
                    looked_for = self._pixels(engine, content, query.region, deadline)
                if leaving():
                    raise ClientLeft("The client left while its photo was decoded.")
            _check(deadline)
            parts: list[Part] = []
            why = ""
            if query.max_objects and not isinstance(looked_for, str):
                parts, why = self._parts(exchange, engine, query, content, looked_for, deadline)
            result = engine.search(
                looked_for,
                query.page_size,
                parts=parts,
                page_token=query.page_token,
                score_threshold=query.score_threshold,
                images_per_product=query.images_per_product,
                selection=query.selection,
                collapse_duplicates=query.collapse_duplicates,
                facets=query.facets,
                deadline=deadline,
            )
            if query.max_objects:
                result = _grouped(result, query, why)
            if query.explain and not isinstance(looked_for, str):
                with stage("explain"):
                    result = self._explained(service, looked_for, result, deadline)
        exchange.stopwatch.add(result.timings_ms)
        return result

    def _pixels(
        self, engine: SearchEngine, content: bytes, region: Region | None, deadline: float
    ) -> NDArray[np.uint8]:
        seconds = deadline - time.monotonic()
        return self._context.decoders.load_pixels(
            content, engine.image_size, region, seconds=seconds
        )

    def _parts(
        self,
        exchange: Exchange,
        engine: SearchEngine,
        query: SearchRequest,
        content: bytes,
        pixels: NDArray[np.uint8],
        deadline: float,
    ) -> tuple[list[Part], str]:
        """Return the things in a photo, each decoded anew; and why there are none, or ""."""
        stage = exchange.stopwatch.stage
        try:
            with stage("detect"):
                boxes = engine.objects.boxes(
                    pixels,
                    query.max_objects,
                    engine.index.until(deadline).allowed(query.selection),
                    deadline=deadline,
                )
        except SharesUnavailable as why:
            return [], str(why)
        parts = []
        for box in boxes:
            _check(deadline)
            # Of a tiny photo, a part may be less than a pixel.
            with stage("decode"), suppress(BadRequest):
                part = self._pixels(engine, content, Region(*box, normalized=True), deadline)
                parts.append(Part(box, part))
        _check(deadline)
        return parts, ""

    def _explained(
        self,
        service: Service,
        pixels: NDArray[np.uint8],
        result: SearchResult,
        deadline: float,
    ) -> SearchResult:
        try:
            explanations = service.engine.explainer.explain(
                pixels,
                [(match.images[0], match.score) for match in result.matches],
                service.storage,
                deadline=deadline,
            )
        except SharesUnavailable as why:
            return replace(result, explanation_unavailable=str(why))
        pairs = zip(result.matches, explanations, strict=True)
        matches = tuple(replace(match, explanation=explanation) for match, explanation in pairs)
        return replace(result, matches=matches)

    def _read_source(self, uri: str, deadline: float) -> bytes:
        settings = self._context.settings
        match = _SOURCE.fullmatch(uri)
        if match is None or match[1] not in settings.source_buckets:
            raise BadRequest(
                "image.source.imageUri: expected gs://bucket/object in a bucket that this "
                "function may read; found another address.",
                reason="IMAGE_SOURCE_NOT_ALLOWED",
            )
        bucket, name = match.groups()
        storage = open_storage(f"gs://{bucket}").until(deadline)
        try:
            photo.check_size(storage.size(name), settings.photo_limits)
            return storage.read(name)
        except (NotFoundInStorage, ValueError):
            raise BadRequest(
                "image.source.imageUri: there is no such object in the bucket.",
                reason="IMAGE_SOURCE_NOT_FOUND",
            ) from None


def _grouped(result: SearchResult, query: SearchRequest, why: str) -> SearchResult:
    """Where nothing stands out, the photo is one group, as in Vision's answers."""
    if not result.groups and not query.page_token:
        result = replace(result, groups=(Group(WHOLE, result.matches),))
    return replace(result, objects_unavailable=why)


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise DeadlineExceeded(
            "The search took longer than it may. Try again in a moment, or with a smaller photo."
        )
