"""Every reason that an error may give, by the class that raises it, with what to do about it."""

import inspect
from http import HTTPStatus

from ..api import DOMAIN
from ..errors import (
    BadRequest,
    DeadlineExceeded,
    FunctionError,
    LengthRequired,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    QueueFull,
    Unauthenticated,
    Unavailable,
    UnsupportedImage,
)
from .schemas import TEXT, Schema, described, items, ref, structure

REASONS: dict[type[FunctionError], dict[str, str]] = {
    BadRequest: {
        "BAD_REQUEST": "The request is malformed in one of its parts: mend the client.",
        "REQUEST_EMPTY": "Send a photo.",
        "JSON_INVALID": "Send a JSON object in UTF-8.",
        "FORM_INVALID": "Send multipart/form-data, whole to its last boundary.",
        "FIELD_UNKNOWN": "Correct the field's name; the message lists the known ones.",
        "FIELD_INVALID": "Correct the field's value; the message says what was expected.",
        "FILTER_INVALID": "Correct the filter at the character that the message names.",
        "FIELD_MASK_INVALID": "Correct the path in `fields`; the message names its known members.",
        "POLYGON_INVALID": "Send three vertices or more, around a pixel or more of the photo.",
        "FEATURE_UNSUPPORTED": "Ask Vision itself for features other than PRODUCT_SEARCH.",
        "PAGE_TOKEN_INVALID": "Send nextPageToken as it came, with the same photo and fields.",
        "PAGE_TOKEN_EXPIRED": "The index was replaced: search again without pageToken.",
        "IMAGE_MISSING": "Add the part or member `image`.",
        "IMAGE_EMPTY": "The photo has no bytes: send others.",
        "IMAGE_UNREADABLE": "The photo is damaged: send another.",
        "IMAGE_TOO_MANY_PIXELS": "Shrink the photo below the limit in the metadata.",
        "IMAGE_TOO_MANY_SCANS": "Save the JPEG anew: it has more scans than any camera writes.",
        "IMAGE_SOURCE_NOT_ALLOWED": "Use a bucket that the function may read.",
        "IMAGE_SOURCE_NOT_FOUND": "There is no such object: correct imageUri.",
    },
    Unauthenticated: {
        "API_KEY_MISSING": "Send an access key in the header X-Api-Key.",
        "API_KEY_INVALID": "Send a key that the operator has made, and not withdrawn.",
    },
    PermissionDenied: {
        "ORIGIN_NOT_ALLOWED": "Use the key on the pages that it is for, or ask for another.",
    },
    NotFound: {
        "ROUTE_NOT_FOUND": "Correct the address.",
        "PRODUCT_NOT_FOUND": "The index has no such product: it may have been replaced.",
        "IMAGE_NOT_FOUND": "There is no such photo: ask for the product again.",
    },
    MethodNotAllowed: {"METHOD_NOT_ALLOWED": "Use a method that `Allow` lists."},
    LengthRequired: {"LENGTH_REQUIRED": "Send Content-Length; chunked bodies are not read."},
    PayloadTooLarge: {
        "PAYLOAD_TOO_LARGE": "Send fewer bytes than the limit in the metadata.",
        "IMAGE_TOO_MANY_BYTES": "Shrink the photo below the limit in the metadata.",
    },
    UnsupportedImage: {
        "IMAGE_TYPE_UNSUPPORTED": "Send a JPEG, PNG, WebP, GIF, BMP or AVIF.",
        "CONTENT_TYPE_UNSUPPORTED": "Send multipart/form-data or application/json.",
    },
    QueueFull: {"QUEUE_FULL": "Try again after `Retry-After` seconds."},
    FunctionError: {"INTERNAL": "Tell the operator the X-Request-Id; the log says what failed."},
    Unavailable: {
        "LOADING": "Try again after `Retry-After` seconds: the release still loads.",
        "NO_VALID_RELEASE": "Tell the operator; the log says what is wrong with the release.",
        "STORAGE_UNAVAILABLE": "Try again after `Retry-After` seconds.",
        "DATABASE_UNAVAILABLE": "Try again after `Retry-After` seconds.",
        "NOT_IN_STORAGE": "Tell the operator: a file of the release is missing.",
    },
    DeadlineExceeded: {"DEADLINE_EXCEEDED": "Try again in a moment, or with a smaller photo."},
}

ERRORS: dict[str, Schema] = {
    "ErrorAnswer": structure({"error": ref("ErrorStatus")}),
    "ErrorStatus": structure(
        {
            "code": described({"type": "integer"}, "The HTTP status."),
            "status": described(
                {"enum": sorted({kind.status for kind in REASONS})}, "The canonical code."
            ),
            "message": described(TEXT, "For people: expected, found, what to do."),
            "details": {**items(ref("ErrorInfo")), "minItems": 1, "maxItems": 1},
        }
    ),
    "ErrorInfo": structure(
        {
            "@type": {"const": "type.googleapis.com/google.rpc.ErrorInfo"},
            "reason": ref("ErrorReason"),
            "domain": {"const": DOMAIN},
            "metadata": {
                "type": "object",
                "additionalProperties": TEXT,
                "description": "Facts for programs, as the limit that was exceeded.",
            },
        }
    ),
    "ErrorReason": {
        "enum": [reason for reasons in REASONS.values() for reason in reasons],
        "description": "Stable, for programs.",
    },
}


def error_response(kind: type[FunctionError]) -> Schema:
    """Return the reference to the response that a class of errors becomes."""
    return ref(_name(kind), "responses")


def _name(kind: type[FunctionError]) -> str:
    return HTTPStatus(kind.http_status).phrase.replace(" ", "")


def _response(kind: type[FunctionError], reasons: dict[str, str]) -> Schema:
    summary, *_ = (inspect.getdoc(kind) or "").splitlines()
    lines = [f"- `{reason}`: {advice}" for reason, advice in reasons.items()]
    headers = {"X-Request-Id": ref("RequestId", "headers")}
    if kind.retry_after_seconds is not None:
        headers["Retry-After"] = ref("RetryAfter", "headers")
    if kind is Unauthenticated:
        headers["WWW-Authenticate"] = ref("Authenticate", "headers")
    return {
        "description": "\n".join([summary, "", *lines]),
        "headers": headers,
        "content": {"application/json": {"schema": ref("ErrorAnswer")}},
    }


ERROR_RESPONSES = {_name(kind): _response(kind, reasons) for kind, reasons in REASONS.items()}
