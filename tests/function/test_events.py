"""What became of a result: one line in the log, one more in a count, and nothing else."""

import json
from typing import Any

import pytest

from function.errors import BadRequest
from function.events import MAX_EVENT_BYTES, TYPES, Event, parse_event
from tests.function.test_app import assert_refused
from tests.server import Answer, RunningFunction

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLICK = {"requestId": "r-1", "type": "click", "productId": "p1", "position": 3}


def tell(running: RunningFunction, body: Any, kind: str = "application/json", **headers: str):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return running.request("POST", "/v1/events", data, {"Content-Type": kind, **headers})


def counted(running: RunningFunction, kind: str) -> float:
    lines = running.get("/metrics").body.decode().splitlines()
    start = f'lookalike_events_total{{type="{kind}"}} '
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


def assert_told(answer: Answer) -> None:
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", TYPES)
def test_an_event_is_one_line_and_one_more_of_its_type(
    running_function: RunningFunction, kind: str
) -> None:
    before = counted(running_function, kind)
    asked = {"X-Request-Id": f"event-{kind}", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    assert_told(tell(running_function, CLICK | {"type": kind}, **asked))
    assert counted(running_function, kind) == before + 1
    lines = [x for x in running_function.log_lines() if x.get("requestId") == f"event-{kind}"]
    (line,) = lines
    assert line["event"] == CLICK | {"type": kind}
    assert line["severity"] == "INFO"
    assert TRACE in line["logging.googleapis.com/trace"]


def test_a_beacon_of_a_page_that_is_left_is_read(running_function: RunningFunction) -> None:
    """navigator.sendBeacon sends a string as text/plain;charset=UTF-8."""
    before = counted(running_function, "click")
    assert_told(tell(running_function, CLICK, "text/plain;charset=UTF-8"))
    assert counted(running_function, "click") == before + 1


def test_a_product_may_come_by_its_name_and_a_position_may_be_left_out() -> None:
    told = {"requestId": "r", "type": "view", "productId": "products/a/b"}
    assert parse_event(told) == Event("r", "view", "a/b")
    assert parse_event(told).to_dict() == told | {"productId": "a/b"}
    assert parse_event(told | {"position": None}) == Event("r", "view", "a/b")
    assert parse_event(told | {"position": 2.0}).position == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"requestId": None}, "requestId"),
        ({"requestId": "a b"}, "requestId"),
        ({"requestId": "x" * 129}, "requestId"),
        ({"type": "buy"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["click"]}, "type"),
        ({"productId": ""}, "productId"),
        ({"productId": 7}, "productId"),
        ({"productId": "x" * 1025}, "productId"),
        ({"position": 0}, "position"),
        ({"position": True}, "position"),
        ({"position": 1.5}, "position"),
        ({"position": "1"}, "position"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse_event(CLICK | change)
    assert error.value.reason == "FIELD_INVALID"
    assert error.value.message.startswith(f"{field}: expected ")


def test_what_is_no_event_is_refused_and_not_counted(running_function: RunningFunction) -> None:
    before = [counted(running_function, kind) for kind in TYPES]
    for body, kind, status, reason in (
        (CLICK | {"price": 3}, "application/json", 400, "FIELD_UNKNOWN"),
        (CLICK | {"type": "buy"}, "text/plain", 400, "FIELD_INVALID"),
        ([CLICK], "application/json", 400, "JSON_INVALID"),
        (b"click", "text/plain", 400, "JSON_INVALID"),
        (b"", "text/plain", 400, "REQUEST_EMPTY"),
        (CLICK, "application/xml", 415, "CONTENT_TYPE_UNSUPPORTED"),
        (b" " * (MAX_EVENT_BYTES + 1), "text/plain", 413, "PAYLOAD_TOO_LARGE"),
    ):
        assert_refused(tell(running_function, body, kind), status, reason)
    assert [counted(running_function, kind) for kind in TYPES] == before
