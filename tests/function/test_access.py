"""Who may ask: the file of keys, its rotation, and what a request has to bring."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from function import access as access_module
from function.access import (
    MAX_KEYS,
    REREAD_SECONDS,
    Access,
    AccessKey,
    make_key,
    parse_keys,
)
from function.errors import FunctionError, PermissionDenied, Unauthenticated
from function.settings import BadSetting
from tests.function.test_app import PHOTO, assert_refused
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from tests.waiting import eventually

SHOP = "https://shop.example"
HASH = hashlib.sha256(b"anything").hexdigest()


def asking(query: str = "", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(EnvironBuilder(query_string=query, headers=named).get_environ())


def write_keys(path: Path, *keys: AccessKey) -> Path:
    path.write_text("# of the shop\n\n" + "".join(key.line + "\n" for key in keys))
    return path


# -- the file

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
ORIGINS = st.lists(st.sampled_from([SHOP, "http://localhost:3000"]), unique=True).map(tuple)


@given(st.lists(st.builds(make_key, NAMES, ORIGINS), min_size=1, max_size=5))
def test_what_is_written_of_keys_is_read_again(made: list[tuple[str, AccessKey]]) -> None:
    keys = tuple(key for _, key in made)
    text = "\n# a comment\n\n".join(key.line for key in keys)
    assert parse_keys(text) == keys
    assert all(sent not in text for sent, _ in made)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected 1 to 100 keys; found 0"),
        ("# nothing but a comment", "expected 1 to 100 keys; found 0"),
        ("shop", "line 1: expected a name, a SHA-256"),
        ("\nshop s3cret-key", "line 2: expected a key's SHA-256"),
        (f"shop {HASH.upper()}", "line 1: expected a key's SHA-256"),
        (f"sh/op {HASH}", "line 1: expected a name of"),
        (f"{'x' * 65} {HASH}", "line 1: expected a name of"),
        (f"shop {HASH} {SHOP}", "line 1: expected a name, a SHA-256"),
        (f"shop {HASH} origins=", "line 1: expected an origin"),
        (f"shop {HASH} origins=shop.example", "line 1: expected origins like"),
        (f"shop {HASH} origins={SHOP}/path", "line 1: expected origins like"),
        (f"shop {HASH} origins=*", "line 1: expected no origins rather than *"),
        (f"shop {HASH} origins={SHOP} origins={SHOP}", "line 1: expected a name, a SHA-256"),
        (f"shop {HASH}\nother {HASH}", "line 2: expected each key once"),
        ("\n".join(make_key("shop")[1].line for _ in range(MAX_KEYS + 1)), "found 101"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_not_repeated(text: str, complaint: str) -> None:
    with pytest.raises(BadSetting) as error:
        parse_keys(text)
    assert complaint in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_file_that_cannot_be_used_is_named_with_its_setting(tmp_path: Path) -> None:
    broken = tmp_path / "keys"
    with pytest.raises(BadSetting, match=f"LOOKALIKE_API_KEYS: {broken}: .*No such file"):
        Access(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match="UTF-8"):
        Access(broken)


# -- what a request brings


def test_without_a_file_everybody_may_ask() -> None:
    assert Access().check(asking()) == ""
    assert Access().check(asking("key=whatever")) == ""


def test_a_key_comes_in_a_header_or_else_in_the_query(tmp_path: Path) -> None:
    (first, one), (second, two) = make_key("one"), make_key("two")
    access = Access(write_keys(tmp_path / "keys", one, two))
    assert access.check(asking(X_Api_Key=first)) == "one"
    assert access.check(asking(X_Goog_Api_Key=second)) == "two"
    assert access.check(asking(f"key={second}")) == "two"
    assert access.check(asking(f"key={second}", X_Api_Key=first)) == "one"
    with pytest.raises(Unauthenticated) as error:
        access.check(asking(f"key={second}", X_Api_Key="wrong"))
    assert error.value.reason == "API_KEY_INVALID"


def test_the_time_of_a_check_tells_nothing_of_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_key(f"key{number}") for number in range(20)]
    access = Access(write_keys(tmp_path / "keys", *(key for _, key in made)))
    compared: list[tuple[str, str]] = []

    def compare_digest(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(access_module, "hmac", SimpleNamespace(compare_digest=compare_digest))
    # The first, one between, the last, none, and as many characters as there may be.
    for sent in (made[0][0], made[10][0], made[19][0], "unknown", "x" * 5000):
        compared.clear()
        lets_in(access, sent)
        # All keys, by their hashes: of one length, whatever was sent.
        assert [one for one, _ in compared] == [key.sha256 for _, key in made]
        assert {other for _, other in compared} == {hashlib.sha256(sent.encode()).hexdigest()}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asking(), "API_KEY_MISSING"),
        (asking("key=", X_Api_Key=""), "API_KEY_MISSING"),
        (asking("key=%ED%A0%80"), "API_KEY_INVALID"),
        (asking(X_Api_Key="schlüssel"), "API_KEY_INVALID"),
        (asking(X_Api_Key=HASH), "API_KEY_INVALID"),
    ],
)
def test_no_key_and_an_unknown_one_are_told_apart(
    tmp_path: Path, request_: Request, reason: str
) -> None:
    access = Access(write_keys(tmp_path / "keys", AccessKey("shop", HASH)))
    with pytest.raises(Unauthenticated) as error:
        access.check(request_)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("headers", "lets_in"),
    [
        ({"Origin": SHOP}, True),
        ({"Referer": f"{SHOP}/shoes?x=1"}, True),
        ({"Origin": SHOP, "Referer": "https://evil.example/"}, True),
        ({"Origin": "https://evil.example", "Referer": f"{SHOP}/"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": f"{SHOP}.evil.example"}, False),
        ({"Referer": "https://[not-an-address/"}, False),
        ({"Referer": "shop.example"}, False),
        ({}, False),
    ],
)
def test_a_bound_key_is_good_on_the_pages_of_its_origins(
    tmp_path: Path, headers: dict[str, str], lets_in: bool
) -> None:
    sent, key = make_key("page", ("http://localhost:3000", SHOP))
    access = Access(write_keys(tmp_path / "keys", key))
    request = asking(X_Api_Key=sent, **headers)
    if lets_in:
        assert access.check(request) == "page"
    else:
        with pytest.raises(PermissionDenied) as error:
            access.check(request)
        assert error.value.reason == "ORIGIN_NOT_ALLOWED"


# -- rotation


def lets_in(access: Access, sent: str) -> bool:
    try:
        access.check(asking(X_Api_Key=sent))
    except FunctionError:
        return False
    return True


def test_keys_are_replaced_while_it_runs_and_a_broken_file_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]

    def later() -> None:
        now[0] += REREAD_SECONDS

    (first, old), (second, new) = make_key("shop"), make_key("shop")
    path = write_keys(tmp_path / "keys", old)
    access = Access(path, clock=lambda: now[0])

    write_keys(path, old, new)
    assert not lets_in(access, second)
    later()
    assert lets_in(access, second)
    assert lets_in(access, first)

    capsys.readouterr()
    path.write_text("shop s3cret\n")
    for _ in range(3):
        later()
        assert lets_in(access, second)
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["severity"] == "ERROR"
    assert "line 1" in line["message"]
    assert "s3cret" not in line["message"]

    path.unlink()
    later()
    assert lets_in(access, second)
    assert "No such file" in capsys.readouterr().out

    write_keys(path, new)
    later()
    assert lets_in(access, second)
    assert not lets_in(access, first)


# -- the real server


@pytest.fixture(scope="module")
def keys() -> dict[str, tuple[str, AccessKey]]:
    return {"backend": make_key("backend"), "page": make_key("page", (SHOP,))}


@pytest.fixture(scope="module")
def closed(
    tiny_release: TinyRelease,
    keys: dict[str, tuple[str, AccessKey]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningFunction]:
    """The function with keys, and the shop's page allowed to call it."""
    folder = tmp_path_factory.mktemp("closed")
    path = write_keys(folder / "keys", *(key for _, key in keys.values()))
    with run_function(
        folder / "log.txt", root=str(tiny_release.root), api_keys=str(path), cors_origins=SHOP
    ) as running:
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/", 200),
        ("/web/main.js", 200),
        ("/branding.json", 200),
        ("/v1/images/" + "0" * 64, 404),
        ("/nowhere", 404),
        ("/metrics", 401),
        ("/v1/index", 401),
        ("/v1/products/p0", 401),
        ("/v1/products/no-such", 401),
    ],
)
def test_what_a_page_needs_before_it_asks_is_open_and_the_rest_closed(
    closed: RunningFunction, keys: dict[str, tuple[str, AccessKey]], path: str, status: int
) -> None:
    answer = closed.get(path)
    assert answer.status == status
    if status == 401:
        assert_refused(answer, 401, "API_KEY_MISSING")
        assert answer.headers["WWW-Authenticate"].startswith("ApiKey ")
        key, _ = keys["backend"]
        assert closed.get(path, **{"X-Api-Key": key}).status in (200, 404)
        assert closed.get(f"{path}?key={key}").status in (200, 404)
        assert_refused(closed.get(f"{path}?key=wrong"), 401, "API_KEY_INVALID")


def test_a_search_needs_a_key_and_its_refusal_can_be_read_by_the_page(
    closed: RunningFunction, keys: dict[str, tuple[str, AccessKey]]
) -> None:
    key, _ = keys["page"]
    refused = closed.search(PHOTO, {"Origin": SHOP})
    assert_refused(refused, 401, "API_KEY_MISSING")
    assert refused.headers["Access-Control-Allow-Origin"] == SHOP
    assert closed.search(PHOTO, {"Origin": SHOP, "X-Api-Key": key}).status == 200
    elsewhere = closed.search(PHOTO, {"Origin": "https://evil.example", "X-Api-Key": key})
    assert_refused(elsewhere, 403, "ORIGIN_NOT_ALLOWED")
    assert elsewhere.headers["Access-Control-Allow-Origin"] is None


def test_a_preflight_needs_no_key_and_allows_the_header(closed: RunningFunction) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    answer = closed.request("OPTIONS", "/v1/products:search", headers={"Origin": SHOP, **asked})
    assert answer.status == 204
    assert "X-Api-Key" in answer.headers["Access-Control-Allow-Headers"]


def test_the_name_of_a_key_is_logged_and_counted_and_the_key_is_not(
    closed: RunningFunction, keys: dict[str, tuple[str, AccessKey]]
) -> None:
    key, _ = keys["backend"]
    asked = {"X-Request-Id": "who-asked"}
    assert closed.get(f"/v1/index?key={key}", **asked).status == 200
    (line,) = (x for x in closed.log_lines() if x.get("requestId") == "who-asked")
    assert line["key"] == "backend"
    metrics = closed.get("/metrics", **{"X-Api-Key": key}).body.decode()
    assert 'lookalike_key_requests_total{key="backend"}' in metrics
    assert key not in closed.log.read_text()
    assert key not in metrics


def test_a_running_server_takes_over_changed_keys(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    (first, old), (second, new) = make_key("old"), make_key("new")
    path = write_keys(tmp_path / "keys", old)
    log = tmp_path / "log.txt"
    with run_function(log, root=str(tiny_release.root), api_keys=str(path)) as running:
        running.wait_until_ready()
        assert running.get("/v1/index", **{"X-Api-Key": first}).status == 200
        write_keys(path, new)
        eventually(lambda: running.get("/v1/index", **{"X-Api-Key": second}).status == 200)
        assert running.get("/v1/index", **{"X-Api-Key": first}).status == 401
