"""How it is, for those who run it and those who build on it.

GET  /v1/index               what is indexed, with which model, and how well it does
GET  /health/live            the process answers
GET  /health/ready           a release is loaded and has answered a query
GET  /metrics                how busy it is, for Prometheus
"""

import time

from flask import Response
from werkzeug.routing import Rule

from ..answer import index_answer
from ..envelope import Exchange, json_response
from ..errors import NotFound
from ..fields import INDEX
from ..metrics import CONTENT_TYPE
from ..queries import parse_fields
from .context import REVALIDATE, Context, cacheable, route


class OperationsRoutes:
    """The index, health and metrics."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [
            route("GET", "/v1/index", self._index),
            route("GET", "/health/live", self._live, is_open=True),
            route("GET", "/health/ready", self._ready, is_open=True),
            route("GET", "/metrics", self._metrics),
        ]

    def _index(self, exchange: Exchange) -> Response:
        mask = parse_fields(exchange.request, INDEX)
        service = self._context.worker.get()
        deadline = time.monotonic() + self._context.settings.deadline_seconds
        content = mask.of(index_answer(service, service.engine.catalog.until(deadline)))
        return cacheable(json_response(content), REVALIDATE)

    def _live(self, exchange: Exchange) -> Response:
        return json_response({"status": "live"})

    def _ready(self, exchange: Exchange) -> Response:
        self._context.worker.get(wait=False)
        return json_response({"status": "ready"})

    def _metrics(self, exchange: Exchange) -> Response:
        if not self._context.settings.metrics:
            raise NotFound(f"There is no {exchange.request.path} here.", reason="ROUTE_NOT_FOUND")
        return Response(self._context.metrics.text(), content_type=CONTENT_TYPE)
