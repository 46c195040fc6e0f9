"""Routes: request in, response out.

    POST /v1/products:search     the products that look most like a photo
    GET  /v1/products/{id}       one product
    GET  /v1/images/{sha256}     a stored photo or thumbnail
    GET  /v1/index               what is indexed, with which model, and how well it does
    GET  /health/live            the process answers
    GET  /health/ready           a release is loaded and has answered a query
    GET  /metrics                how busy it is, for Prometheus
    GET  /                       the demo page; its files at /web/…, its branding at /branding.json

GET answers carry an ETag and HEAD works wherever GET does.
"""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from flask import Request, Response
from werkzeug.exceptions import MethodNotAllowed as RoutedElsewhere
from werkzeug.routing import Map, Rule

from . import answer, api, photo
from .admission import Admission
from .answer import Links
from .connection import has_left
from .envelope import Envelope, Exchange, json_response
from .errors import BadRequest, DeadlineExceeded, MethodNotAllowed, NotFound
from .metrics import CONTENT_TYPE, Metrics
from .release import IMAGES
from .service import Service
from .settings import Settings
from .storage import NotFoundInStorage, open_storage
from .website import page_file, read_branding
from .worker import Worker

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SOURCE = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221}[a-z0-9])/(.{1,1024})", re.DOTALL)

REVALIDATE = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


type Handler = Callable[..., Response]


class App:
    """Answers every request.

    Args:
        settings: what the operator chose.
        worker: holds the release, once it is loaded.
        envelope: wraps each answer.
        admission: says which searches may compute.
        metrics: what /metrics shows.
    """

    def __init__(
        self,
        settings: Settings,
        worker: Worker[Service],
        envelope: Envelope,
        admission: Admission,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._envelope = envelope
        self._admission = admission
        self._metrics = metrics
        self._branding = read_branding(settings.branding)
        self._routes = Map(
            [
                _route("POST", "/v1/products:search", self._search),
                _route("GET", "/v1/products/<path:product_id>", self._product),
                _route("GET", "/v1/images/<sha256>", self._image),
                _route("GET", "/v1/index", self._index),
                _route("GET", "/health/live", self._live),
                _route("GET", "/health/ready", self._ready),
                _route("GET", "/metrics", self._show_metrics),
                _route("GET", "/", self._page),
                _route("GET", "/web/<path:name>", self._page),
                _route("GET", "/branding.json", self._brand),
            ],
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
        response: Response = rule.endpoint(exchange, **arguments)
        if method in ("GET", "HEAD") and "Cache-Control" in response.headers:
            response.add_etag()
            response.make_conditional(exchange.request)
        return response

    def _search(self, exchange: Exchange) -> Response:
        stage = exchange.stopwatch.stage
        exchange.cold_start = not self._worker.is_ready
        self._admission.check()
        with stage("parse"):
            query = api.parse_search(exchange.request)
        # A slow upload is the client's own time.
        deadline = time.monotonic() + self._settings.deadline_seconds
        service = self._worker.get()
        if query.image_uri:
            with stage("fetch"):
                content = self._read_source(query.image_uri)
        else:
            content = query.content
        engine = service.engine
        with ExitStack() as admitted:
            with stage("queue"):
                leaving = partial(has_left, exchange.request.environ)
                admitted.enter_context(self._admission.place(until=deadline, has_left=leaving))
            with stage("decode"):
                pixels = photo.load_pixels(content, engine.image_size, self._settings.photo_limits)
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    "The search took longer than it may. Try again in a moment, or with a smaller "
                    "photo."
                )
            result = engine.search(
                pixels,
                query.page_size,
                page_token=query.page_token,
                score_threshold=query.score_threshold,
                images_per_product=query.images_per_product,
                selection=query.selection,
                collapse_duplicates=query.collapse_duplicates,
            )
        exchange.stopwatch.add(result.timings_ms)
        return json_response(
            answer.search_answer(
                result,
                engine.manifest,
                self._links(exchange),
                request_id=exchange.request_id,
                timings_ms=exchange.stopwatch.timings_ms,
                cold_start=exchange.cold_start,
            )
        )

    def _read_source(self, uri: str) -> bytes:
        match = _SOURCE.fullmatch(uri)
        if match is None or match[1] not in self._settings.source_buckets:
            raise BadRequest(
                "image.source.imageUri: expected gs://bucket/object in a bucket that this "
                "function may read; found another address.",
                reason="IMAGE_SOURCE_NOT_ALLOWED",
            )
        bucket, name = match.groups()
        storage = open_storage(f"gs://{bucket}")
        try:
            photo.check_size(storage.size(name), self._settings.photo_limits)
            return storage.read(name)
        except (NotFoundInStorage, ValueError):
            raise BadRequest(
                "image.source.imageUri: there is no such object in the bucket.",
                reason="IMAGE_SOURCE_NOT_FOUND",
            ) from None

    def _product(self, exchange: Exchange, product_id: str) -> Response:
        catalog = self._worker.get().engine.catalog
        try:
            product = catalog.product(product_id)
        except KeyError:
            raise NotFound(
                f"There is no product {product_id[:100]!r} in the index.",
                reason="PRODUCT_NOT_FOUND",
            ) from None
        images = catalog.images_of(product_id)
        content = answer.product_answer(product, images, self._links(exchange))
        return _cacheable(json_response(content), REVALIDATE)

    def _image(self, exchange: Exchange, sha256: str) -> Response:
        missing = NotFound("There is no such image.", reason="IMAGE_NOT_FOUND")
        if not _SHA256.fullmatch(sha256):
            raise missing
        # Its name is its content's hash, so a browser that has it needs nothing from storage.
        if exchange.request.if_none_match.contains(sha256):
            response = Response(status=304)
        else:
            try:
                data = self._worker.get().storage.read(f"{IMAGES}/{sha256}.jpg")
            except NotFoundInStorage:
                raise missing from None
            response = Response(data, mimetype="image/jpeg")
        response.set_etag(sha256)
        return _cacheable(response, FOR_EVER)

    def _index(self, exchange: Exchange) -> Response:
        engine = self._worker.get().engine
        content = answer.index_answer(engine.manifest, engine.catalog)
        return _cacheable(json_response(content), REVALIDATE)

    def _live(self, exchange: Exchange) -> Response:
        return json_response({"status": "live"})

    def _ready(self, exchange: Exchange) -> Response:
        self._worker.get(wait=False)
        return json_response({"status": "ready"})

    def _show_metrics(self, exchange: Exchange) -> Response:
        if not self._settings.metrics:
            raise NotFound(f"There is no {exchange.request.path} here.", reason="ROUTE_NOT_FOUND")
        return Response(self._metrics.text(), content_type=CONTENT_TYPE)

    def _page(self, exchange: Exchange, name: str = "index.html") -> Response:
        return _cacheable(page_file(exchange.request, name), REVALIDATE)

    def _brand(self, exchange: Exchange) -> Response:
        return _cacheable(Response(self._branding, mimetype="application/json"), REVALIDATE)

    def _links(self, exchange: Exchange) -> Links:
        return Links(self._settings.image_base_url, _origin(exchange.request))


def _route(method: str, path: str, handler: Handler) -> Rule:
    return Rule(path, methods=[method], endpoint=handler)


def _listed(methods: object) -> str:
    return ", ".join(sorted({str(method) for method in methods} | {"OPTIONS"}))  # type: ignore[attr-defined]


def _cacheable(response: Response, cache_control: str) -> Response:
    response.headers["Cache-Control"] = cache_control
    return response


def _origin(request: Request) -> str:
    """The address that the caller used, as https://host.

    Behind Cloud Run's front end the connection itself is http, and the scheme is in a header.
    """
    scheme = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip()
    return f"{scheme if scheme in ('http', 'https') else request.scheme}://{request.host}"
