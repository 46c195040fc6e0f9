"""What can go wrong, each with its HTTP status, canonical code and reason.

    FunctionError                 INTERNAL, 500
    ├── BadRequest                INVALID_ARGUMENT, 400
    │   └── BadImage              the upload is not a photo that can be read
    ├── Unauthenticated           UNAUTHENTICATED, 401, with WWW-Authenticate
    ├── PermissionDenied          PERMISSION_DENIED, 403
    ├── NotFound                  NOT_FOUND, 404
    ├── MethodNotAllowed          UNIMPLEMENTED, 405
    ├── LengthRequired            INVALID_ARGUMENT, 411
    ├── PayloadTooLarge           INVALID_ARGUMENT, 413
    ├── UnsupportedImage          INVALID_ARGUMENT, 415
    ├── QueueFull                 RESOURCE_EXHAUSTED, 429, with Retry-After
    ├── ClientLeft                CANCELLED, 499: for the log, nobody reads it
    ├── Unavailable               UNAVAILABLE, 503, with Retry-After
    │   └── ReleaseError          no release can be served: missing, damaged, of another schema
    └── DeadlineExceeded          DEADLINE_EXCEEDED, 504, with Retry-After

Messages are written for the caller: expected, found, what to do. They never carry the text of an
internal exception.
"""

from collections.abc import Mapping
from typing import Literal

# What is wrong with a release, or with the pointer to it; for operators, in few words.
ReleaseFault = Literal[
    "POINTER_MISSING",
    "POINTER_INVALID",
    "RELEASE_MISSING",
    "RELEASE_DAMAGED",
    "SCHEMA_UNSUPPORTED",
    "GOLDEN_MISMATCH",
]


class FunctionError(Exception):
    """An error that the caller may see.

    Attributes:
        http_status: the response's status.
        status: the canonical code of AIP-193, as `INVALID_ARGUMENT`.
        reason: UPPER_SNAKE_CASE, stable, for programs; unique within the domain "lookalike".
        metadata: facts for programs, as the limit that was exceeded.
        retry_after_seconds: sent as `Retry-After` where it is not None.
    """

    http_status = 500
    status = "INTERNAL"
    default_reason = "INTERNAL"
    retry_after_seconds: int | None = None

    def __init__(
        self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})


class BadRequest(FunctionError):
    """The request cannot be understood."""

    http_status = 400
    status = "INVALID_ARGUMENT"
    default_reason = "BAD_REQUEST"


class BadImage(BadRequest):
    """The upload is not a photo that can be read."""

    default_reason = "IMAGE_UNREADABLE"


class Unauthenticated(FunctionError):
    """The request does not say who asks, or says it wrongly."""

    http_status = 401
    status = "UNAUTHENTICATED"
    default_reason = "API_KEY_MISSING"


class PermissionDenied(FunctionError):
    """Who asks is known, and may not."""

    http_status = 403
    status = "PERMISSION_DENIED"
    default_reason = "ORIGIN_NOT_ALLOWED"


class NotFound(FunctionError):
    """No such product, image or route."""

    http_status = 404
    status = "NOT_FOUND"
    default_reason = "NOT_FOUND"


class MethodNotAllowed(FunctionError):
    """The route exists, but not for this method."""

    http_status = 405
    status = "UNIMPLEMENTED"
    default_reason = "METHOD_NOT_ALLOWED"


class LengthRequired(FunctionError):
    """A body came without Content-Length; it could be cut off unnoticed."""

    http_status = 411
    status = "INVALID_ARGUMENT"
    default_reason = "LENGTH_REQUIRED"


class PayloadTooLarge(FunctionError):
    """The body has more bytes than the limit."""

    http_status = 413
    status = "INVALID_ARGUMENT"
    default_reason = "PAYLOAD_TOO_LARGE"


class UnsupportedImage(FunctionError):
    """The bytes are no image type that is read here."""

    http_status = 415
    status = "INVALID_ARGUMENT"
    default_reason = "IMAGE_TYPE_UNSUPPORTED"


class QueueFull(FunctionError):
    """As many searches wait already as may."""

    http_status = 429
    status = "RESOURCE_EXHAUSTED"
    default_reason = "QUEUE_FULL"
    retry_after_seconds = 1


class ClientLeft(FunctionError):
    """Nobody waits for the answer any more; 499 is what Google's APIs log for that."""

    http_status = 499
    status = "CANCELLED"
    default_reason = "CLIENT_LEFT"


class Unavailable(FunctionError):
    """The function cannot answer yet."""

    http_status = 503
    status = "UNAVAILABLE"
    default_reason = "LOADING"
    retry_after_seconds = 2


class ReleaseError(Unavailable):
    """No release that could be served: missing, damaged, or of another schema.

    Attributes:
        fault: what is wrong with it.
    """

    default_reason = "NO_VALID_RELEASE"
    retry_after_seconds = 30

    def __init__(self, message: str, *, fault: ReleaseFault = "RELEASE_DAMAGED") -> None:
        super().__init__(message)
        self.fault: ReleaseFault = fault


class DeadlineExceeded(FunctionError):
    """The search took, or waited, longer than it may."""

    http_status = 504
    status = "DEADLINE_EXCEEDED"
    default_reason = "DEADLINE_EXCEEDED"
    retry_after_seconds = 1
