"""GET /openapi.json     the API, described for programs"""

from flask import Response
from werkzeug.routing import Rule

from ..envelope import Exchange, json_response
from ..openapi.document import document
from .context import REVALIDATE, Context, cacheable, route


class DescriptionRoutes:
    """The OpenAPI document."""

    def __init__(self, context: Context) -> None:
        self._document = document()

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [route("GET", "/openapi.json", self._describe, is_open=True)]

    def _describe(self, exchange: Exchange) -> Response:
        return cacheable(json_response(self._document), REVALIDATE)
