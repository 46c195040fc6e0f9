"""The routes: what each takes, and every status that it answers with."""

from ..errors import (
    BadRequest,
    DeadlineExceeded,
    FunctionError,
    LengthRequired,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    QueueFull,
    Unauthenticated,
    Unavailable,
    UnsupportedImage,
)
from ..fields import BROWSE, INDEX, PRODUCT, Question
from .errors import error_response
from .fields import FIELDS, in_a_form
from .schemas import REQUEST_ID, TEXT, Schema, ref

# Whatever a request is for.
_ANYWHERE: tuple[type[FunctionError], ...] = (LengthRequired, PayloadTooLarge, FunctionError)
# Whatever asks for an access key, where the operator has set keys.
_LOCKED = (Unauthenticated, PermissionDenied)
# Whatever takes a photo apart and compares it.
_SEARCHING = (BadRequest, UnsupportedImage, QueueFull, Unavailable, DeadlineExceeded)

HEADERS: dict[str, Schema] = {
    "RequestId": {
        "description": "The caller's X-Request-Id, where it sent a sound one; else a new one.",
        "required": True,
        "schema": REQUEST_ID,
    },
    "RetryAfter": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Authenticate": {
        "description": "How to say who asks.",
        "required": True,
        "schema": TEXT,
    },
    "ETag": {
        "description": "Send it as If-None-Match to be told 304 where nothing has changed.",
        "required": True,
        "schema": TEXT,
    },
}

_IF_KEYS = "Where the operator has set access keys."
SECURITY: dict[str, Schema] = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": _IF_KEYS},
    "apiKeyInAddress": {"type": "apiKey", "in": "query", "name": "key", "description": _IF_KEYS},
}

_REQUEST_ID: Schema = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Names the request in its answer and in the log: 1 to 128 of A-Za-z0-9._-",
    "schema": TEXT,
}
_IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of what the caller has already.",
    "schema": TEXT,
}


def _path(name: str, description: str, schema: Schema, example: str) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _query(question: Question) -> tuple[Schema, ...]:
    """Return the parameters by which an address asks."""
    return tuple(
        {"name": name, "in": "query", "schema": in_a_form(FIELDS[name])} for name in question.fields
    )


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _operation(
    name: str,
    summary: str,
    tag: str,
    content: Schema | None,
    *,
    fails: tuple[type[FunctionError], ...] = (),
    parameters: tuple[Schema, ...] = (),
    body: Schema | None = None,
    cacheable: bool = False,
    is_open: bool = False,
) -> Schema:
    """Describe one route.

    Args:
        name: the operation's, in lowerCamelCase.
        summary: one line.
        tag: which group it is in.
        content: of the answer 200, by content type; None: the answer is 204.
        fails: the errors that it answers with, beside those of `_ANYWHERE`.
        parameters: beside the headers that every route reads.
        body: content of the request.
        cacheable: whether the answer carries an ETag.
        is_open: whether it answers without an access key too.
    """
    headers = {"X-Request-Id": ref("RequestId", "headers")}
    if cacheable:
        headers["ETag"] = ref("ETag", "headers")
        parameters = (*parameters, _IF_NONE_MATCH)
    responses: dict[str, Schema] = {
        "200": {"description": "Found.", "headers": headers, "content": content}
    }
    if content is None:
        responses = {"204": {"description": "Taken.", "headers": headers}}
    if cacheable:
        responses["304"] = {"description": "Nothing has changed.", "headers": headers}
    fails = (*fails, *_ANYWHERE, *(() if is_open else _LOCKED))
    for kind in sorted(fails, key=lambda kind: kind.http_status):
        responses[str(kind.http_status)] = error_response(kind)
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        **({"security": []} if is_open else {}),
        "parameters": [*parameters, _REQUEST_ID],
        **({"requestBody": {"required": True, "content": body}} if body else {}),
        "responses": responses,
    }


_ID = _path("id", "The shop's own id.", TEXT, "42")

PATHS: dict[str, dict[str, Schema]] = {
    "/v1/products:search": {
        "post": _operation(
            "searchProducts",
            "The products that look most like a photo",
            "search",
            _json(ref("SearchAnswer")),
            body={
                "multipart/form-data": {"schema": ref("SearchForm")},
                **_json(ref("SearchRequest")),
            },
            fails=_SEARCHING,
        )
    },
    "/v1/products/{id}:similar": {
        "post": _operation(
            "similarProducts",
            "The products that look most like a product, without itself",
            "search",
            _json(ref("SearchAnswer")),
            parameters=(_ID,),
            body=_json(ref("SimilarRequest")),
            fails=(*_SEARCHING, NotFound),
        )
    },
    "/v1/images:annotate": {
        "post": _operation(
            "annotateImages",
            "Up to 16 searches at once, as clients of Google's Vision ask",
            "search",
            _json(ref("AnnotateAnswer")),
            body=_json(ref("AnnotateRequest")),
            fails=_SEARCHING,
        )
    },
    "/v1/events": {
        "post": _operation(
            "tellEvent",
            "What became of a result; a beacon sends it as text/plain",
            "search",
            None,
            body={**_json(ref("Event")), "text/plain": {"schema": TEXT}},
            fails=(BadRequest, UnsupportedImage),
        )
    },
    "/v1/products": {
        "get": _operation(
            "listProducts",
            "The products that a selection allows, in the shop's own order",
            "catalogue",
            _json(ref("ProductPage")),
            parameters=_query(BROWSE),
            fails=(BadRequest, Unavailable),
            cacheable=True,
        )
    },
    "/v1/products/{id}": {
        "get": _operation(
            "getProduct",
            "One product with its photos",
            "catalogue",
            _json(ref("ProductDetail")),
            parameters=(_ID, *_query(PRODUCT)),
            fails=(BadRequest, NotFound, Unavailable),
            cacheable=True,
        )
    },
    "/v1/images/{sha256}": {
        "get": _operation(
            "getImage",
            "A photo of a product that came without an address of its own",
            "catalogue",
            {"image/jpeg": {"schema": {**TEXT, "format": "binary"}}},
            parameters=(_path("sha256", "Of its bytes.", TEXT, "0" * 64),),
            fails=(NotFound, Unavailable),
            cacheable=True,
            is_open=True,
        )
    },
    "/v1/index": {
        "get": _operation(
            "getIndex",
            "What is indexed, with which model, and how well it does",
            "operations",
            _json(ref("Index")),
            parameters=_query(INDEX),
            fails=(BadRequest, Unavailable),
            cacheable=True,
        )
    },
    "/health/live": {
        "get": _operation(
            "isLive", "The process answers", "operations", _json(ref("Health")), is_open=True
        )
    },
    "/health/ready": {
        "get": _operation(
            "isReady",
            "A release is loaded and has answered a query",
            "operations",
            _json(ref("Health")),
            fails=(Unavailable,),
            is_open=True,
        )
    },
    "/metrics": {
        "get": _operation(
            "getMetrics",
            "How busy it is, for Prometheus; an operator may close it",
            "operations",
            {"text/plain": {"schema": TEXT}},
            fails=(NotFound,),
        )
    },
    "/openapi.json": {
        "get": _operation(
            "getDescription",
            "This description",
            "operations",
            _json({"type": "object", "additionalProperties": True}),
            cacheable=True,
            is_open=True,
        )
    },
}
