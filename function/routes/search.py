"""Searches.

POST /v1/products:search         the products that look most like a photo
POST /v1/products/{id}:similar   the products that look most like a product
"""

import time
from collections.abc import Callable
from functools import partial

from flask import Request, Response
from werkzeug.routing import Rule

from ..api import SearchRequest, parse_search, parse_similar
from ..envelope import Exchange, json_response
from .context import Context, route
from .finding import Finder


class SearchRoutes:
    """Searches by photo, and by product."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._finder = Finder(context)

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [
            route("POST", "/v1/products:search", self._search),
            route("POST", "/v1/products/<path:product_id>:similar", self._similar),
        ]

    def _search(self, exchange: Exchange) -> Response:
        return self._answer(exchange, parse_search)

    def _similar(self, exchange: Exchange, product_id: str) -> Response:
        return self._answer(exchange, partial(parse_similar, product_id=product_id))

    def _answer(self, exchange: Exchange, parse: Callable[[Request], SearchRequest]) -> Response:
        exchange.cold_start = not self._context.worker.is_ready
        self._context.admission.check()
        with exchange.stopwatch.stage("parse"):
            query = parse(exchange.request)
        # A slow upload is the client's own time.
        deadline = time.monotonic() + self._context.settings.deadline_seconds
        service = self._context.worker.get()
        answer = self._finder.answer(exchange, service, query, deadline)
        return json_response(query.mask.of(answer))
