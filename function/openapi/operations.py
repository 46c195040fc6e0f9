"""The routes: what each takes, and every status that it answers with."""

from ..access import KEY_PARAMETER
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
from ..fields import BROWSE
from .errors import error_response
from .fields import FIELDS
from .schemas import TEXT, Schema, ref

# Whatever a request is for.
_ANYWHERE: tuple[type[FunctionError], ...] = (LengthRequired, PayloadTooLarge, FunctionError)
# Where access keys are asked for.
_CLOSED: tuple[type[FunctionError], ...] = (Unauthenticated, PermissionDenied)
# Whatever takes a photo apart and compares it.
_SEARCHING = (BadRequest, UnsupportedImage, QueueFull, Unavailable, DeadlineExceeded)

SECURITY_SCHEMES: dict[str, Schema] = {
    "Key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "GoogleKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Goog-Api-Key",
        "description": "As Google's own clients send it.",
    },
    "KeyInQuery": {
        "type": "apiKey",
        "in": "query",
        "name": KEY_PARAMETER,
        "description": "For what sends no headers, as navigator.sendBeacon: addresses are logged.",
    },
}

HEADERS: dict[str, Schema] = {
    "RequestId": {
        "description": "The caller's X-Request-Id, where it sent a sound one; else a new one.",
        "required": True,
        "schema": {**TEXT, "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
    "RetryAfter": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "ETag": {
        "description": "Send it as If-None-Match to be told 304 where nothing has changed.",
        "required": True,
        "schema": TEXT,
    },
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


def _in_query(name: str) -> Schema:
    """A list is a repeated parameter; one alone is a list of one."""
    schema = FIELDS[name]
    return {
        "name": name,
        "in": "query",
        "description": schema["description"],
        "schema": {key: value for key, value in schema.items() if key != "description"},
    }


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
    body_is_required: bool = True,
    cacheable: bool = False,
    is_open: bool = False,
) -> Schema:
    """Describe one route.

    Args:
        name: the operation's, in lowerCamelCase.
        summary: one line.
        tag: which group it is in.
        content: of the answer 200, by content type; None: there is none, and it is 204.
        fails: the errors that it answers with, beside those of `_ANYWHERE`.
        parameters: beside the headers that every route reads.
        body: content of the request.
        body_is_required: whether there must be one.
        cacheable: whether the answer carries an ETag.
        is_open: whether it never asks for an access key.
    """
    headers = {"X-Request-Id": ref("RequestId", "headers")}
    if cacheable:
        headers["ETag"] = ref("ETag", "headers")
        parameters = (*parameters, _IF_NONE_MATCH)
    found: Schema = {"description": "Found.", "headers": headers, "content": content}
    taken: Schema = {"description": "Taken.", "headers": headers}
    responses: dict[str, Schema] = {"200": found} if content else {"204": taken}
    if cacheable:
        responses["304"] = {"description": "Nothing has changed.", "headers": headers}
    refusals = _ANYWHERE if is_open else (*_ANYWHERE, *_CLOSED)
    for kind in sorted((*fails, *refusals), key=lambda kind: kind.http_status):
        responses[str(kind.http_status)] = error_response(kind)
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "parameters": [*parameters, _REQUEST_ID],
        **({"requestBody": {"required": body_is_required, "content": body}} if body else {}),
        **({"security": []} if is_open else {}),
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
            "searchSimilar",
            "The products that look most like a product",
            "search",
            _json(ref("SearchAnswer")),
            parameters=(_ID,),
            body=_json(ref("SimilarRequest")),
            body_is_required=False,
            fails=(NotFound, *_SEARCHING),
        )
    },
    "/v1/images:annotate": {
        "post": _operation(
            "annotateImages",
            "Searches for several photos, as clients of Google's Vision ask",
            "compatibility",
            _json(ref("AnnotateAnswer")),
            body=_json(ref("AnnotateRequest")),
            fails=_SEARCHING,
        )
    },
    "/v1/products": {
        "get": _operation(
            "listProducts",
            "Products, in the publisher's order",
            "catalogue",
            _json(ref("ProductList")),
            parameters=tuple(map(_in_query, BROWSE.fields)),
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
            parameters=(_ID, _in_query("fields")),
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
    "/v1/events": {
        "post": _operation(
            "recordEvent",
            "What became of a result",
            "search",
            None,
            body={**_json(ref("EventRequest")), "text/plain": {"schema": TEXT}},
            fails=(BadRequest, UnsupportedImage),
        )
    },
    "/v1/index": {
        "get": _operation(
            "getIndex",
            "What is indexed, with which model, and how well it does",
            "operations",
            _json(ref("Index")),
            parameters=(_in_query("fields"),),
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
