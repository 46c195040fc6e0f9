"""The demo page in a real browser, over the real function: what its tests share."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from tests.releases import PRODUCTS, TinyRelease
from tests.server import run_function
from tests.witness import Witness

SEARCH = "**/v1/products:search"
KEY = "open sesame"
ASKED_FOR = 12
FOUND = PRODUCTS  # all that the tiny release has
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}

type OpenPage = Callable[..., Page]


@pytest.fixture
def witness() -> Witness:
    """What the page asked; `open_page` connects it."""
    return Witness()


@pytest.fixture(scope="session")
def locked_url(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a function that asks for the access key KEY."""
    folder = tmp_path_factory.mktemp("locked")
    keys = folder / "keys.txt"
    keys.write_text(f"page {hashlib.sha256(KEY.encode()).hexdigest()}\n")
    with run_function(
        folder / "log.txt", root=str(tiny_release.root), api_keys=str(keys)
    ) as running:
        running.wait_until_ready()
        yield running.url


@pytest.fixture
def open_page(browser: Browser, function_url: str, witness: Witness) -> Iterator[OpenPage]:
    """Open the page with the options of a browser context; fail where it complained.

    Photos travel as forms, unless they are `witnessed`.
    """
    contexts = []
    complaints: list[str] = []

    def open_one(
        path: str = "", *, url: str = function_url, witnessed: bool = False, **options: Any
    ) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        witness.attach(context, searches=witnessed)
        # One product brings a picture from elsewhere, which no test may ask for.
        context.route("https://shop.example/**", lambda route: route.fulfill(body=photo()))
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        # Choosers are caught from some moment after the first listener; a key press may be faster.
        page.on("filechooser", lambda chooser: None)
        page.goto(url + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    # The browser itself notes every answer that is an error; the tests of errors cause those.
    assert not [text for text in complaints if "Failed to load resource" not in text]


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page as it opens."""
    return open_page(viewport=DESK)


@pytest.fixture
def found_page(open_page: OpenPage) -> Page:
    """The page with the answer to a photo, witnessed."""
    page = open_page(witnessed=True, viewport=DESK)
    choose(page)
    expect_results(page)
    return page


def photo(width: int = 320, height: int = 240, **save: Any) -> bytes:
    """A JPEG: red above, blue below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = (220, 40, 30)
    pixels[height // 2 :] = (30, 40, 220)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **save)
    return file.getvalue()


def choose(page: Page, data: bytes | None = None, name: str = "photo.jpg") -> None:
    """Choose a photo as the file chooser would hand it over."""
    content = photo() if data is None else data
    page.set_input_files("#file", {"name": name, "mimeType": "image/jpeg", "buffer": content})


def cards(page: Page) -> Locator:
    """The products that are shown."""
    return page.locator(".card:not(.skeleton)")


def expect_results(page: Page, found: int = FOUND) -> None:
    """Wait for the answer."""
    expect(page.locator("#page")).to_have_attribute("data-state", "results")
    expect(cards(page)).to_have_count(found)
    expect(page.locator("#results-heading")).to_have_text(
        f"{found} similar product{'' if found == 1 else 's'}"
    )


def hold_search(page: Page) -> Callable[[], None]:
    """Hold the next search back; calling what is returned waits until it came, and lets it go."""
    held: list[Route] = []
    page.route(SEARCH, lambda route: held.append(route), times=1)

    def let_go() -> None:
        deadline = time.monotonic() + 20
        while not held:
            assert time.monotonic() < deadline, "the page did not search"
            page.wait_for_timeout(10)  # in which the browser's messages are taken
        held.pop().continue_()

    return let_go


def refuse(status: int, message: str, **headers: str) -> Callable[[Route], None]:
    """Answer as the function would."""
    body = json.dumps({"error": {"code": status, "message": message}})
    return lambda route: route.fulfill(
        status=status, content_type="application/json", body=body, headers=headers
    )
