"""function/web/lookalike.js in a real browser, and a shop whose API it asks."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

import function
from tests.ports import Quiet, answering

WEB = Path(function.__file__).parent / "web"
ANSWER = {"productSearchResults": {"indexTime": "", "results": []}, "nextPageToken": ""}

RED, BLUE, GREEN = (220, 40, 30), (30, 40, 220), (30, 200, 60)


@dataclass
class Sent:
    """A request as it came: its form's parts by name, or its JSON."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, list[bytes]]:
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts: dict[str, list[bytes]] = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            parts.setdefault(name, []).append(part.get_payload(decode=True))  # type: ignore[arg-type]
        return parts

    @property
    def photo(self) -> bytes:
        (content,) = self.form["image"]
        return content

    @property
    def picture(self) -> Image.Image:
        return Image.open(BytesIO(self.photo))


@dataclass
class Shop:
    """A server that keeps what it is sent, and answers as it is told to: status, headers, JSON."""

    url: str = ""
    sent: list[Sent] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)

    def refuse(self, status: int, reason: str, **headers: str) -> None:
        info = {"reason": reason, "metadata": {"limit": "3"}}
        error = {"code": status, "message": f"It is {reason}.", "details": [info]}
        self.answers.append((status, headers, {"error": error}))


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop's API on 127.0.0.1; it gives out the client, too."""
    shop = Shop()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/web/"):
                return self.answer(
                    200, (WEB / Path(self.path).name).read_bytes(), "text/javascript"
                )
            if not self.path.startswith("/v1/"):
                return self.answer(200, b"<!doctype html>", "text/html")
            return self.tell()

        def do_POST(self) -> None:
            self.tell()

        def tell(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            shop.sent.append(Sent(self.command, self.path, headers, body))
            status, more, content = shop.answers.pop(0) if shop.answers else (200, {}, ANSWER)
            body = b"" if content is None else json.dumps(content).encode()
            self.answer(status, body, "application/json", more)

        def answer(
            self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in ({"Content-Type": kind} | (headers or {})).items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with answering(Handler) as port:
        shop.url = f"http://127.0.0.1:{port}"
        yield shop


@pytest.fixture
def client(browser: Browser, shop: Shop) -> Iterator[Page]:
    """A page of the shop's, on which `call` runs the client."""
    page = browser.new_page()
    page.goto(shop.url)
    yield page
    page.close()


def call(page: Page, code: str, data: bytes = b"", kind: str = "image/jpeg", **values: Any) -> Any:
    """Run the body of an async function; it knows the module's names, `shop` and `photo`."""
    return page.evaluate(
        """async ([code, bytes, kind, values]) => {
          const module = await import(values.module ?? "/web/lookalike.js");
          const photo = new Blob([new Uint8Array(bytes)], { type: kind });
          const shop = new module.Lookalike(values.base, values.settings);
          const names = { ...module, photo, shop, ...values };
          const run = new Function(...Object.keys(names), `return (async () => {${code}})()`);
          return run(...Object.values(names));
        }""",
        [code, list(data), kind, values],
    )


FAILURE = """
  try { await %s; } catch (error) {
    const { name, message, reason, status, requestId, metadata, retryAfter } = error;
    return { name, message, reason, status, requestId, metadata, retryAfter,
             typed: error instanceof LookalikeError };
  }
"""


def jpeg(width: int, height: int, paint: Callable[[Any], None] | None = None, **save: Any) -> bytes:
    """Red above, blue below, unless painted over."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = RED
    pixels[height // 2 :] = BLUE
    if paint:
        paint(pixels)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **save)
    return file.getvalue()


def near(colour: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 30 for one, other in zip(colour, wanted, strict=True))
