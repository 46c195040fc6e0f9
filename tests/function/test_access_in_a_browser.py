"""A real browser on the pages of a shop and of somebody else, at a function that asks for keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from function.access import make_key
from tests.ports import Quiet, answering
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from tests.waiting import eventually

ASK = """([address, headers]) => fetch(address, {headers}).then(
    async answer => [answer.status, await answer.json()], error => [0, error.name])"""
TELL = "([address, event]) => navigator.sendBeacon(address, JSON.stringify(event))"


class Pages(Quiet, SimpleHTTPRequestHandler):
    """Gives out a folder, and says nothing of it."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where an empty page is: under two names, which are two origins."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "index.html").write_text("<!doctype html><title>A page</title>")
    with answering(partial(Pages, directory=folder)) as port:
        yield port


@dataclass(frozen=True)
class Shop:
    """A function, the key that stands in the shop's page, and the origins of pages."""

    function: RunningFunction
    key: str
    origin: str
    elsewhere: str


@pytest.fixture(scope="module")
def shop(
    tiny_release: TinyRelease, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    origin, elsewhere = f"http://localhost:{port}", f"http://127.0.0.1:{port}"
    sent, key = make_key("page", (origin,))
    keys = folder / "keys"
    keys.write_text(key.line)
    settings = {"root": str(tiny_release.root), "api_keys": str(keys), "cors_origins": origin}
    with run_function(folder / "log.txt", **settings) as running:
        running.wait_until_ready()
        yield Shop(running, sent, origin, elsewhere)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def has_answered(running: RunningFunction, message: str) -> bool:
    return message in running.log.read_text()


def ask(page: Page, origin: str, address: str, **headers: str) -> Any:
    page.goto(f"{origin}/")
    return page.evaluate(ASK, [address, headers])


def test_the_shops_page_reads_answers_and_refusals_and_another_page_neither(
    shop: Shop, page: Page
) -> None:
    address = f"{shop.function.url}/v1/index"
    key = {"X-Api-Key": shop.key}
    status, index = ask(page, shop.origin, address, **key)
    assert status == 200
    assert index["counts"]["products"] > 0
    status, refusal = ask(page, shop.origin, address)
    assert (status, refusal["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert ask(page, shop.elsewhere, address, **key) == [0, "TypeError"]


def test_a_beacon_arrives_from_the_shops_page_and_not_from_another(shop: Shop, page: Page) -> None:
    address = f"{shop.function.url}/v1/events?key={shop.key}"
    for origin, status in ((shop.origin, 204), (shop.elsewhere, 403)):
        event = {"requestId": "r-1", "type": "click", "productId": "p1", "position": 1}
        page.goto(f"{origin}/")
        assert page.evaluate(TELL, [address, event])
        eventually(partial(has_answered, shop.function, f"POST /v1/events {status}"))
    (told,) = (line["event"] for line in shop.function.log_lines() if "event" in line)
    assert told == event
