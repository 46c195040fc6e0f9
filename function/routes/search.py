"""POST /v1/products:search     the products that look most like a photo"""

import time

from flask import Response
from werkzeug.routing import Rule

from ..answer import search_answer
from ..api import parse_search
from ..envelope import Exchange, json_response
from .context import Context, route
from .finding import Finder


class SearchRoutes:
    """Searches by photo."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._finder = Finder(context)

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [route("POST", "/v1/products:search", self._search)]

    def _search(self, exchange: Exchange) -> Response:
        exchange.cold_start = not self._context.worker.is_ready
        self._context.admission.check()
        with exchange.stopwatch.stage("parse"):
            query = parse_search(exchange.request)
        # A slow upload is the client's own time.
        deadline = time.monotonic() + self._context.settings.deadline_seconds
        engine = self._context.worker.get().engine
        result = self._finder.find(exchange, engine, query, deadline)
        return json_response(
            search_answer(
                result,
                engine.manifest,
                self._context.links(exchange),
                request_id=exchange.request_id,
                timings_ms=exchange.stopwatch.timings_ms,
                cold_start=exchange.cold_start,
            )
        )
