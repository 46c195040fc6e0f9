"""POST /v1/events              what became of a result: a line in the log, and a count"""

from flask import Response
from werkzeug.routing import Rule

from ..body import read_json
from ..envelope import Exchange
from ..errors import PayloadTooLarge
from ..events import MAX_EVENT_BYTES, parse_event
from .context import Context, route

# navigator.sendBeacon sends text as the second: a page that is left can ask for no preflight.
_JSON = ("application/json", "text/plain")


class EventRoutes:
    """Events."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [route("POST", "/v1/events", self._event)]

    def _event(self, exchange: Exchange) -> Response:
        length = exchange.request.content_length or 0
        if length > MAX_EVENT_BYTES:
            raise PayloadTooLarge(
                f"The event has {length:,} bytes; the limit is {MAX_EVENT_BYTES:,}.",
                metadata={"limit": str(MAX_EVENT_BYTES)},
            )
        event = parse_event(read_json(exchange.request, *_JSON))
        exchange.event = event.to_dict()
        self._context.metrics.observe_event(event.type)
        return Response(status=204)
