"""The catalogue.

GET  /v1/products            those that a selection allows, in the publisher's order
GET  /v1/products/{id}       one product
GET  /v1/images/{sha256}     a stored photo or thumbnail

An id is whatever follows, slashes and colons included: one that ends in `:similar` is got like any
other, for that method is POST's alone.
"""

import re
import time

from flask import Response
from werkzeug.routing import Rule

from ..answer import browse_answer, product_answer
from ..browse import browse
from ..envelope import Exchange, json_response
from ..errors import NotFound
from ..fields import PRODUCT
from ..queries import parse_browse, parse_fields
from ..release import IMAGES
from ..storage import NotFoundInStorage
from .context import FOR_EVER, REVALIDATE, Context, cacheable, known_product, route

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ProductRoutes:
    """Products and their stored photos."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [
            route("GET", "/v1/products", self._browse),
            route("GET", "/v1/products/<path:product_id>", self._product),
            # The page's <img> sends no key, and a photo's name is not to be guessed.
            route("GET", "/v1/images/<sha256>", self._image, is_open=True),
        ]

    def _browse(self, exchange: Exchange) -> Response:
        asked = parse_browse(exchange.request)
        service = self._context.worker.get()
        result = browse(
            service.engine.catalog.until(self._deadline()),
            service.engine.manifest.index.index_id,
            asked.page_size,
            page_token=asked.page_token,
            selection=asked.selection,
            facets=asked.facets,
        )
        content = asked.mask.of(browse_answer(result, self._context.links(exchange)))
        return cacheable(json_response(content), REVALIDATE)

    def _product(self, exchange: Exchange, product_id: str) -> Response:
        mask = parse_fields(exchange.request, PRODUCT)
        service = self._context.worker.get()
        catalog = service.engine.catalog.until(self._deadline())
        product = known_product(catalog, product_id)
        images = catalog.images_of(product_id)
        content = mask.of(product_answer(product, images, self._context.links(exchange)))
        return cacheable(json_response(content), REVALIDATE)

    def _image(self, exchange: Exchange, sha256: str) -> Response:
        missing = NotFound("There is no such image.", reason="IMAGE_NOT_FOUND")
        if not _SHA256.fullmatch(sha256):
            raise missing
        # Its name is its content's hash, so a browser that has it needs nothing from storage.
        if exchange.request.if_none_match.contains(sha256):
            response = Response(status=304)
        else:
            try:
                storage = self._context.worker.get().storage
                data = storage.until(self._deadline()).read(f"{IMAGES}/{sha256}.jpg")
            except NotFoundInStorage:
                raise missing from None
            response = Response(data, mimetype="image/jpeg")
        response.set_etag(sha256)
        return cacheable(response, FOR_EVER)

    def _deadline(self) -> float:
        return time.monotonic() + self._context.settings.deadline_seconds
