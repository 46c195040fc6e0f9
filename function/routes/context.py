"""What the handlers of all routes share."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Request, Response
from werkzeug.routing import Rule

from ..admission import Admission
from ..answer import Links
from ..catalog import Catalog, Product
from ..decoding import Decoders
from ..envelope import Exchange
from ..errors import NotFound
from ..metrics import Metrics
from ..service import Service
from ..settings import Settings
from ..worker import Worker

REVALIDATE = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"

type Handler = Callable[..., Response]


@dataclass(frozen=True)
class Endpoint:
    """What a rule leads to.

    Attributes:
        handler: given the exchange and the path's parts.
        is_open: whether it answers without an access key too.
    """

    handler: Handler
    is_open: bool


@dataclass(frozen=True)
class Context:
    """Where handlers find what they need.

    Attributes:
        settings: what the operator chose.
        worker: holds the release, once it is loaded.
        admission: says which searches may compute.
        metrics: what /metrics shows.
        decoders: turn photos into pixels.
    """

    settings: Settings
    worker: Worker[Service]
    admission: Admission
    metrics: Metrics
    decoders: Decoders

    def links(self, exchange: Exchange) -> Links:
        """Return where the caller finds stored photos."""
        return Links(self.settings.image_base_url, _origin(exchange.request))


def route(method: str, path: str, handler: Handler, *, is_open: bool = False) -> Rule:
    """Return the rule: `handler` answers `path`; without an access key only if it is open."""
    return Rule(path, methods=[method], endpoint=Endpoint(handler, is_open))


def known_product(catalog: Catalog, product_id: str) -> Product:
    """Return a product; NotFound where there is none."""
    try:
        return catalog.product(product_id)
    except KeyError:
        raise NotFound(
            f"There is no product {product_id[:100]!r} in the index.", reason="PRODUCT_NOT_FOUND"
        ) from None


def cacheable(response: Response, cache_control: str) -> Response:
    """Return the response, which whoever keeps it may use as `cache_control` says."""
    response.headers["Cache-Control"] = cache_control
    return response


def _origin(request: Request) -> str:
    """The address that the caller used, as https://host.

    Behind Cloud Run's front end the connection itself is http, and the scheme is in a header.
    """
    scheme = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip()
    return f"{scheme if scheme in ('http', 'https') else request.scheme}://{request.host}"
