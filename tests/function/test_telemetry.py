"""Each line is one JSON object in Cloud Logging's words, and says nothing about the photo."""

import json

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from function.telemetry import Stopwatch, log, log_exception, log_request

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE_FIELD, SPAN_FIELD = "logging.googleapis.com/trace", "logging.googleapis.com/spanId"


def logged(
    capsys: pytest.CaptureFixture[str], status: int = 200, **headers: str
) -> dict[str, object]:
    environ = EnvironBuilder(path="/v1/index", query_string="key=secret", headers=headers)
    stopwatch = Stopwatch()
    with stopwatch.stage("decode"):
        pass
    log_request(
        Request(environ.get_environ()),
        Response("{}", status),
        stopwatch,
        request_id="r1",
        reason="" if status < 400 else "NOT_FOUND",
    )
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)  # type: ignore[no-any-return]


def test_a_request_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = logged(capsys)
    assert line["severity"] == "INFO"
    assert line["message"] == "GET /v1/index 200"
    assert line["requestId"] == "r1"
    assert line["timingsMs"].keys() == {"decode"}  # type: ignore[attr-defined]
    assert line["httpRequest"]["status"] == 200  # type: ignore[index]
    assert "reason" not in line
    assert "secret" not in json.dumps(line)


@pytest.mark.parametrize(
    ("status", "severity"), [(304, "INFO"), (404, "WARNING"), (503, "WARNING"), (500, "ERROR")]
)
def test_severity_follows_the_status(
    capsys: pytest.CaptureFixture[str], status: int, severity: str
) -> None:
    assert logged(capsys, status)["severity"] == severity


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, SPAN),
        ({"X-Cloud-Trace-Context": f"{TRACE}/123;o=1"}, None),
    ],
)
def test_the_trace_is_joined(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    span: str | None,
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
    line = logged(capsys, **headers)
    assert line[TRACE_FIELD] == f"projects/shop/traces/{TRACE}"
    assert line.get(SPAN_FIELD) == span


def test_a_strange_trace_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert TRACE_FIELD not in logged(capsys, traceparent="00-zz-1-01")


def test_any_text_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log("INFO", "two\nlines \ud800", odd="\u2028", absent=None)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"severity": "INFO", "message": "two\nlines \ud800", "odd": "\u2028"}


def test_an_exception_brings_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    log_exception("It failed.", ValueError("why"))
    line = json.loads(capsys.readouterr().out)
    assert (line["severity"], line["message"]) == ("ERROR", "It failed.")
    assert "ValueError: why" in line["stack_trace"]


def test_a_stage_counts_even_where_it_fails() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(ZeroDivisionError), stopwatch.stage("decode"):
        _ = 1 / 0
    assert stopwatch.timings_ms["decode"] >= 0
    assert stopwatch.elapsed_seconds > 0


def test_stages_of_one_name_add_up() -> None:
    stopwatch = Stopwatch()
    stopwatch.add({"embed": 2.0, "search": 1.0})
    stopwatch.add({"embed": 3.0})
    assert stopwatch.timings_ms == {"embed": 5.0, "search": 1.0}
