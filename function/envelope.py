"""What every response has, whatever it says: a request id, CORS, caching, one JSON error body.

The body's length is checked here, before a byte of it is read.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException

from .api import error_body
from .errors import (
    BadRequest,
    FunctionError,
    LengthRequired,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedImage,
)
from .metrics import Metrics
from .storage import StorageError
from .telemetry import Stopwatch, log_exception, log_request

EXPOSED_HEADERS = "X-Request-Id, Retry-After"
ALLOWED_HEADERS = "Content-Type, X-Api-Key, X-Request-Id"
# Of what is no page: should a browser take it for one, it may do nothing.
NO_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'"
# No browser keeps a preflight's answer longer than Chrome's two hours, but for Firefox.
PREFLIGHT_SECONDS = 7200

# A client reads the answer only after it has sent its body, so a refused body is read too, and
# thrown away; one that goes on for longer than this is cut off instead.
MAX_DRAINED_BYTES = 64_000_000
_DRAIN_CHUNK_BYTES = 65_536

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

_ERROR_OF_STATUS: Mapping[int, type[FunctionError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    411: LengthRequired,
    413: PayloadTooLarge,
    415: UnsupportedImage,
}


@dataclass
class Exchange:
    """One request on its way through.

    Attributes:
        request: as it came.
        request_id: the caller's, where it sent a sound one; for its answer and our log.
        stopwatch: started when the request came.
        route: the pattern that its path fits; "" while none is known.
        cold_start: whether it came before the release was loaded; None where that says nothing.
        key_name: of the access key that it brought; "" where none was needed.
        event: what it told that happened, for its line in the log.
    """

    request: Request
    request_id: str
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    route: str = ""
    cold_start: bool | None = None
    key_name: str = ""
    event: Mapping[str, object] | None = None

    @classmethod
    def open(cls, request: Request) -> "Exchange":
        """Begin to answer a request."""
        sent = request.headers.get("X-Request-Id", "")
        return cls(request, sent if REQUEST_ID.fullmatch(sent) else uuid4().hex)


class Envelope:
    """Wraps handlers.

    Args:
        cors_origins: whose pages may read the answers; "*" among them means everybody's.
        max_body_bytes: of a request.
        metrics: what each answer is counted in.
    """

    def __init__(
        self, *, cors_origins: tuple[str, ...], max_body_bytes: int, metrics: Metrics
    ) -> None:
        self._cors_origins = frozenset(cors_origins)
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics

    def answer(self, request: Request, handle: Callable[[Exchange], Response]) -> Response:
        """Return what `handle` returns, or the error body for what it raises, in full dress."""
        exchange = Exchange.open(request)
        reason = ""
        try:
            self._check_length(request)
            response = handle(exchange)
        except Exception as error:  # noqa: BLE001 - every failure gets the one error body
            response, reason = _refused(error, exchange)
        self._dress(response, exchange)
        _drain(request, response)
        log_request(
            request,
            response,
            exchange.stopwatch,
            request_id=exchange.request_id,
            reason=reason,
            coldStart=exchange.cold_start,
            key=exchange.key_name or None,
            event=exchange.event,
        )
        self._metrics.observe_request(
            exchange.route,
            response.status_code,
            reason,
            exchange.stopwatch.elapsed_seconds,
            exchange.stopwatch.timings_ms,
            exchange.key_name,
        )
        return response

    def attach(self, server: Flask) -> None:
        """Give the server's own errors, as on its reserved paths, the same body and headers."""

        def refuse(error: Exception) -> Response:
            def fail(_: Exchange) -> Response:
                raise error

            return self.answer(request, fail)

        server.register_error_handler(HTTPException, refuse)
        server.register_error_handler(500, refuse)
        server.url_map.merge_slashes = False

    def _check_length(self, request: Request) -> None:
        length = request.content_length
        if "Transfer-Encoding" in request.headers or (request.method == "POST" and length is None):
            raise LengthRequired("Send the body's Content-Length; chunked bodies are not read.")
        if length is not None and length > self._max_body_bytes:
            raise PayloadTooLarge(
                f"The body has {length:,} bytes; the limit is {self._max_body_bytes:,}.",
                metadata={"limit": str(self._max_body_bytes)},
            )

    def _dress(self, response: Response, exchange: Exchange) -> None:
        headers = response.headers
        headers["X-Request-Id"] = exchange.request_id
        headers["X-Content-Type-Options"] = "nosniff"
        # The address of a page may hold an access key: other hosts learn its origin alone.
        headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        headers.setdefault("Content-Security-Policy", NO_PAGE_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        origin = exchange.request.headers.get("Origin")
        if "*" in self._cors_origins:
            headers["Access-Control-Allow-Origin"] = "*"
        elif self._cors_origins:
            headers.add("Vary", "Origin")
            if origin not in self._cors_origins:
                return
            headers["Access-Control-Allow-Origin"] = origin
        else:
            return
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if exchange.request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
            headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)


def json_response(content: object, status: int = 200) -> Response:
    """Return `content` as UTF-8 JSON."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(errors="replace"), status, mimetype="application/json")


def _refused(error: Exception, exchange: Exchange) -> tuple[Response, str]:
    """Return the answer to what was raised, and its reason.

    Nobody keeps the error: its traceback holds all that the request held, a release among it.
    """
    told = _as_function_error(error, exchange)
    return _error_response(told), told.reason


def _as_function_error(error: Exception, exchange: Exchange) -> FunctionError:
    """Turn anything raised into what the caller may see; what it may not goes to the log."""
    if isinstance(error, StorageError):
        # It names the bucket and who lacks which role: that is for the operator.
        log_exception("The storage failed.", error, requestId=exchange.request_id)
        return Unavailable(
            "The storage cannot be read at the moment. Try again.", reason=error.default_reason
        )
    if isinstance(error, FunctionError):
        if error.http_status == 500:
            log_exception("An answer failed.", error, requestId=exchange.request_id)
        return error
    if isinstance(error, HTTPException) and error.code is not None and 400 <= error.code < 500:
        kind = _ERROR_OF_STATUS.get(error.code, BadRequest)
        if kind is NotFound:
            return NotFound(f"There is no {exchange.request.path} here.", reason="ROUTE_NOT_FOUND")
        return kind("The request is malformed or too large in one of its parts.")
    # Flask hands the cause over inside its own InternalServerError.
    cause = getattr(error, "original_exception", None) or error
    log_exception("An answer failed.", cause, requestId=exchange.request_id)
    return FunctionError(
        "Something failed here. The function's log says what, under the requestId."
    )


def _error_response(error: FunctionError) -> Response:
    response = json_response(error_body(error), error.http_status)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = 'ApiKey realm="lookalike"'
    if isinstance(error, MethodNotAllowed) and "allow" in error.metadata:
        response.headers["Allow"] = error.metadata["allow"]
    return response


def _drain(request: Request, response: Response) -> None:
    """Throw away what is left of the body, so that the client comes to read the answer."""
    left = MAX_DRAINED_BYTES
    try:
        while left > 0 and (chunk := request.stream.read(_DRAIN_CHUNK_BYTES)):
            left -= len(chunk)
    except (OSError, HTTPException):
        left = 0
    if left <= 0:
        # The server would read on, into memory, before any answer that is not streamed.
        body = response.get_data()
        response.response = iter((body,))
