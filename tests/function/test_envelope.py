"""Every answer of a real Flask server, its own errors included, comes in the same envelope."""

import gc
import json
import weakref
from collections.abc import Callable

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.exceptions import BadRequest as MalformedRequest
from werkzeug.exceptions import Forbidden

from function.admission import Admission
from function.envelope import Envelope, Exchange, json_response
from function.errors import FunctionError, ReleaseError
from function.metrics import Metrics
from function.storage import NotFoundInStorage, StorageError

SECRET = "the text of an internal exception"  # noqa: S105 - no password


def client_of(
    handle: Callable[[Exchange], Response],
    *,
    cors_origins: tuple[str, ...] = (),
    max_body_bytes: int = 1000,
) -> FlaskClient:
    server = Flask("test")
    metrics = Metrics(Admission(running=1, waiting=0))
    envelope = Envelope(cors_origins=cors_origins, max_body_bytes=max_body_bytes, metrics=metrics)
    envelope.attach(server)
    methods = ["GET", "POST", "OPTIONS"]
    server.add_url_rule(
        "/",
        "run",
        lambda: envelope.answer(request, handle),
        methods=methods,
        provide_automatic_options=False,
    )
    server.add_url_rule("/crash", "crash", crash)
    return server.test_client()


def crash() -> Response:
    raise ZeroDivisionError(SECRET)


def fine(exchange: Exchange) -> Response:
    return json_response({"said": exchange.request.get_data().decode()})


def raising(error: Exception) -> Callable[[Exchange], Response]:
    def handle(_: Exchange) -> Response:
        raise error

    return handle


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (MalformedRequest(SECRET), 400, "BAD_REQUEST"),
        (NotFoundInStorage(SECRET), 503, "NOT_IN_STORAGE"),
        (RuntimeError(SECRET), 500, "INTERNAL"),
    ],
)
def test_what_no_handler_foresaw_has_a_reason_too(
    error: Exception, status: int, reason: str
) -> None:
    answer = client_of(raising(error)).get("/")
    told = answer.json["error"]
    assert (answer.status_code, told["details"][0]["reason"]) == (status, reason)
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("client", "path"),
    [(client_of(raising(ZeroDivisionError(SECRET))), "/"), (client_of(fine), "/crash")],
    ids=["in a handler", "in the server"],
)
def test_what_is_unforeseen_is_logged_but_not_told(
    client: FlaskClient, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json["error"]["status"]) == (500, "INTERNAL")
    assert SECRET not in answer.text
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert SECRET in first["stack_trace"]
    assert first["requestId"] == second["requestId"] == answer.headers["X-Request-Id"]


def test_the_servers_own_errors_have_the_same_body() -> None:
    client = client_of(fine)
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.json["error"]["code"]) == (404, 404)
    wrong = client.delete("/")
    assert (wrong.status_code, wrong.json["error"]["code"]) == (405, 405)
    assert wrong.headers["X-Request-Id"]


def test_another_http_error_of_the_server_becomes_a_bad_request() -> None:
    answer = client_of(raising(Forbidden(SECRET))).get("/")
    assert (answer.status_code, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert SECRET not in answer.text


def test_a_known_error_is_told_with_its_retry_after() -> None:
    answer = client_of(raising(ReleaseError("No release."))).get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json["error"]["message"] == "No release."
    assert client_of(raising(FunctionError("Sorry."))).get("/").status_code == 500


def test_what_the_storage_says_is_for_the_operator_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = client_of(raising(StorageError(f"gs://{SECRET}: not allowed."))).get("/")
    assert (answer.status_code, answer.json["error"]["status"]) == (503, "UNAVAILABLE")
    assert SECRET not in answer.text
    assert SECRET in capsys.readouterr().out


def test_bodies_need_a_length_within_the_limit() -> None:
    client = client_of(fine, max_body_bytes=5)
    assert client.post("/", data=b"12345").json == {"said": "12345"}
    assert client.post("/", data=b"123456").status_code == 413
    assert client.post("/", headers={"Transfer-Encoding": "chunked"}).status_code == 411


def test_answers_are_not_stored_unless_the_handler_says_so() -> None:
    assert client_of(fine).get("/").headers["Cache-Control"] == "no-store"
    kept = client_of(lambda _: Response("x", headers={"Cache-Control": "no-cache"}))
    assert kept.get("/").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://shop.example", None),
        (("https://shop.example",), "https://shop.example", "https://shop.example"),
        (("https://shop.example",), "https://evil.example", None),
        (("https://shop.example",), None, None),
        (("*",), "https://anyone.example", "*"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/crash", "/nowhere"])
def test_cors_is_an_allow_list(
    origins: tuple[str, ...], origin: str | None, allowed: str | None, path: str
) -> None:
    headers = {"Origin": origin} if origin else {}
    answer = client_of(fine, cors_origins=origins).get(path, headers=headers)
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    exposed = answer.headers.get("Access-Control-Expose-Headers", "")
    assert ("X-Request-Id" in exposed and "Retry-After" in exposed) == bool(allowed)
    if origins and "*" not in origins:
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("sent", "kept"), [("a-1_b.C", True), ("", False), ("x y", False), ("x" * 129, False)]
)
def test_a_sound_request_id_is_kept(sent: str, kept: bool) -> None:
    answer = client_of(fine).get("/", headers={"X-Request-Id": sent})
    assert (answer.headers["X-Request-Id"] == sent) == kept
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("error", [ReleaseError("none"), StorageError("gone"), ValueError(SECRET)])
def test_what_a_request_held_is_freed_with_its_answer_though_it_failed(error: Exception) -> None:
    class Release:
        pass

    held: list[weakref.ref[Release]] = []

    def handle(_: Exchange) -> Response:
        release = Release()
        held.append(weakref.ref(release))
        raise type(error)(*error.args)

    client = client_of(handle)
    gc.disable()
    try:
        assert client.get("/").status_code >= 500
        assert held[0]() is None
    finally:
        gc.enable()
