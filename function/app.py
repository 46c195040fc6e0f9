"""Request in, response out: the routes of `function.routes`, by path and method.

GET answers carry an ETag and HEAD works wherever GET does.
"""

from flask import Request, Response
from werkzeug.exceptions import MethodNotAllowed as RoutedElsewhere
from werkzeug.routing import Map

from .access import Access
from .envelope import Envelope, Exchange
from .errors import MethodNotAllowed
from .routes.context import Context, Endpoint
from .routes.description import DescriptionRoutes
from .routes.events import EventRoutes
from .routes.operations import OperationsRoutes
from .routes.page import PageRoutes
from .routes.products import ProductRoutes
from .routes.search import SearchRoutes
from .routes.vision import VisionRoutes

_ROUTES = (
    SearchRoutes,
    VisionRoutes,
    ProductRoutes,
    EventRoutes,
    OperationsRoutes,
    DescriptionRoutes,
    PageRoutes,
)


class App:
    """Answers every request.

    Args:
        context: what the handlers need.
        envelope: wraps each answer.
        access: says who may ask where a route is not open.

    Raises:
        BadSetting: a file that a setting names cannot be used.
    """

    def __init__(self, context: Context, envelope: Envelope, access: Access) -> None:
        self._envelope = envelope
        self._access = access
        self._routes = Map(
            [rule for routes in _ROUTES for rule in routes(context).rules()],
            strict_slashes=False,
            merge_slashes=False,
        ).bind("")

    def __call__(self, request: Request) -> Response:
        """Answer one request; raises nothing."""
        return self._envelope.answer(request, self._handle)

    def _handle(self, exchange: Exchange) -> Response:
        path, method = exchange.request.path, exchange.request.method
        if method == "OPTIONS" and (allowed := self._routes.allowed_methods(path)):
            return Response(status=204, headers={"Allow": _listed(allowed)})
        try:
            rule, arguments = self._routes.match(path, method, return_rule=True)
        except RoutedElsewhere as error:
            allow = _listed(error.valid_methods or ())
            raise MethodNotAllowed(
                f"{path}: expected {allow}; found {method[:20]}.", metadata={"allow": allow}
            ) from None
        exchange.route = rule.rule
        endpoint: Endpoint = rule.endpoint
        if not endpoint.is_open:
            exchange.key_name = self._access.check(exchange.request)
        response = endpoint.handler(exchange, **arguments)
        if method in ("GET", "HEAD") and "Cache-Control" in response.headers:
            response.add_etag()
            response.make_conditional(exchange.request)
        return response


def _listed(methods: object) -> str:
    return ", ".join(sorted({str(method) for method in methods} | {"OPTIONS"}))  # type: ignore[attr-defined]
