"""Structured logs, one JSON line each on stdout, in the fields that Cloud Logging knows; timings.

Nothing of a photo is logged: no bytes, no file name, no metadata. Nor are query strings.
"""

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Request, Response

# W3C trace context: version-trace-span-flags. Cloud Run's own header: trace/span;o=1.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})(?:/\d+)?(?:;.*)?")

PROBES = "/health/"
# Of what a caller writes into its line. The server sets no limit to an address.
MAX_LOGGED_CHARACTERS = 1000


def log(severity: str, message: str, **fields: object) -> None:
    """Write one line; fields that are None are left out.

    Args:
        severity: as Cloud Logging names it: INFO, WARNING, ERROR.
        message: for people.
        fields: for programs; anything that JSON can hold.
    """
    known = {name: value for name, value in fields.items() if value is not None}
    line = json.dumps({"severity": severity, "message": message, **known})
    # One write a line: threads do not mix theirs.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def log_exception(message: str, error: BaseException, **fields: object) -> None:
    """Write an ERROR line with the stack trace, for the operator alone."""
    trace = "".join(traceback.format_exception(error))
    log("ERROR", message, stack_trace=trace, **fields)


class Stopwatch:
    """Times the stages of one request.

    Attributes:
        timings_ms: milliseconds of each stage so far, by its name, rounded to 0.1.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what runs inside; it counts even where that fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: 1000 * (time.perf_counter() - start)})

    def add(self, timings_ms: Mapping[str, float]) -> None:
        """Take over stages that were timed elsewhere; those of one name add up."""
        for name, spent in timings_ms.items():
            self.timings_ms[name] = round(self.timings_ms.get(name, 0) + spent, 1)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.perf_counter() - self._start


def log_request(
    request: Request,
    response: Response,
    stopwatch: Stopwatch,
    *,
    request_id: str,
    reason: str,
    **fields: object,
) -> None:
    """Write the one line of a request: what was asked, answered, and how long each stage took.

    Health probes get none: they come every second, and loading is logged where it happens.

    Args:
        request: as it came.
        response: as it goes.
        stopwatch: started with the request.
        request_id: what the caller was told.
        reason: the error's reason; "" where there was none.
        fields: what else is known of it, as `log` takes them.
    """
    if request.path.startswith(PROBES):
        return
    status = response.status_code
    path = request.path[:MAX_LOGGED_CHARACTERS]
    severity = "ERROR" if status == 500 else "WARNING" if status >= 400 else "INFO"
    log(
        severity,
        f"{request.method} {path} {status}",
        httpRequest={
            "requestMethod": request.method,
            "requestUrl": path,
            "status": status,
            "requestSize": str(request.content_length or 0),
            "responseSize": str(response.calculate_content_length() or 0),
            "userAgent": request.headers.get("User-Agent", "")[:MAX_LOGGED_CHARACTERS],
            "latency": f"{stopwatch.elapsed_seconds:.4f}s",
        },
        requestId=request_id,
        reason=reason or None,
        timingsMs=stopwatch.timings_ms or None,
        **fields,
        **_trace(request),
    )


def _trace(request: Request) -> dict[str, object]:
    """The fields that join this line to the platform's own line for the same request."""
    if match := _TRACEPARENT.fullmatch(request.headers.get("traceparent", "")):
        trace, span = match.groups()
    elif match := _CLOUD_TRACE.fullmatch(request.headers.get("X-Cloud-Trace-Context", "")):
        trace, span = match[1], None
    else:
        return {}
    project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    return {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{trace}" if project else trace,
        "logging.googleapis.com/spanId": span,
    }
