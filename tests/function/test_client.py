"""function/web/lookalike.js in a real browser: what it sends, and how it takes a refusal."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

import function
from function.openapi.document import document
from tests.ports import free_port
from tests.releases import PRODUCTS, TinyRelease
from tests.server import RunningFunction, run_function

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

    class Handler(BaseHTTPRequestHandler):
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

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield shop
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
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


# -- what travels


def test_a_large_photo_arrives_at_512_px_on_its_longer_side(page: Page, shop: Shop) -> None:
    original = jpeg(3000, 2000)
    call(page, "await shop.search(photo)", original)
    (sent,) = shop.sent
    assert (sent.method, sent.path) == ("POST", "/v1/products:search")
    assert (sent.picture.format, sent.picture.size) == ("JPEG", (512, 341))
    assert len(sent.photo) < len(original)


def test_a_turned_photo_arrives_upright_without_its_exif(page: Page, shop: Shop) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    exif[0x010E] = "where it was taken"
    call(page, "await shop.search(photo)", jpeg(1200, 800, exif=exif))
    picture = shop.sent[0].picture
    assert picture.size == (341, 512)
    assert not picture.getexif()
    # Turned clockwise, what was above is on the right.
    assert near(picture.getpixel((330, 256)), RED)
    assert near(picture.getpixel((10, 256)), BLUE)


@pytest.mark.parametrize("size", [(512, 512), (200, 300), (1, 1)])
def test_a_small_photo_arrives_byte_for_byte(page: Page, shop: Shop, size: tuple[int, int]) -> None:
    original = jpeg(*size)
    call(page, "await shop.search(photo)", original)
    assert shop.sent[0].photo == original


def test_what_no_browser_can_decode_arrives_as_it_is(page: Page, shop: Shop) -> None:
    call(page, "await shop.search(photo)", b"Dear shop, this is no photo.")
    assert shop.sent[0].photo == b"Dear shop, this is no photo."


def test_what_a_jpeg_cannot_hold_arrives_on_white(page: Page, shop: Shop) -> None:
    file = BytesIO()
    Image.new("RGBA", (2000, 1000)).save(file, "PNG")
    call(page, "await shop.search(photo)", file.getvalue(), "image/png")
    assert shop.sent[0].picture.getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize(
    "polygon",
    [
        {"vertices": [{"x": 1000, "y": 600}, {"x": 1400, "y": 600}, {"x": 1400, "y": 800}]},
        {"normalizedVertices": [{"x": 0.5, "y": 0.6}, {"x": 0.7, "y": 0.6}, {"x": 0.7, "y": 0.8}]},
    ],
    ids=["pixels", "fractions"],
)
def test_a_region_is_cut_out_before_the_photo_is_made_small(
    page: Page, shop: Shop, polygon: dict[str, Any]
) -> None:
    def paint(pixels: Any) -> None:
        pixels[600:800, 1000:1400] = GREEN

    code = "await shop.search(photo, { boundingPoly, pageSize: 3 })"
    call(page, code, jpeg(2000, 1000, paint), boundingPoly=polygon)
    (sent,) = shop.sent
    assert sent.form.keys() == {"image", "pageSize"}
    # As many pixels as the photo has there: nothing is lost, and nothing made up.
    assert sent.picture.size == (400, 200)
    for corner in ((3, 3), (396, 3), (3, 196), (396, 196)):
        assert near(sent.picture.getpixel(corner), GREEN)


def test_a_region_is_one_of_the_upright_photo_and_ends_at_its_edge(page: Page, shop: Shop) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # upright it is 1000 wide and 2000 high, blue on the left
    polygon = {"normalizedVertices": [{"y": -1}, {"x": 0.4, "y": -1}, {"x": 0.4, "y": 7}]}
    code = "await shop.search(photo, { boundingPoly })"
    call(page, code, jpeg(2000, 1000, exif=exif), boundingPoly=polygon)
    picture = shop.sent[0].picture
    assert picture.size == (102, 512)
    assert all(near(picture.getpixel((x, y)), BLUE) for x in (3, 98) for y in (3, 508))


@pytest.mark.parametrize(
    "polygon",
    [
        {"vertices": [{"x": 1}, {"y": 2}]},
        {"vertices": [{"x": 3000}, {"x": 4000}, {"x": 4000, "y": 9}]},
        {"vertices": "all"},
        {"corners": []},
        {},
    ],
)
def test_a_region_that_is_none_is_for_the_api_to_refuse(
    page: Page, shop: Shop, polygon: dict[str, Any]
) -> None:
    original = jpeg(1200, 800)
    code = "await shop.search(photo, { boundingPoly })"
    call(page, code, original, boundingPoly=polygon)
    (sent,) = shop.sent
    assert sent.photo == original
    assert json.loads(sent.form["boundingPoly"][0]) == polygon


def test_fields_travel_in_the_apis_words_and_the_key_in_its_header(page: Page, shop: Shop) -> None:
    fields = {"filter": "a=b", "excludeProductIds": ["1", "2"], "collapseDuplicates": True}
    code = "await shop.search(photo, { ...fields, pageToken: undefined })"
    call(page, code, jpeg(9, 9), fields=fields, settings={"apiKey": "secret"})
    (sent,) = shop.sent
    form = sent.form
    del form["image"]
    assert form == {
        "filter": [b"a=b"],
        "excludeProductIds": [b"1", b"2"],
        "collapseDuplicates": [b"true"],
    }
    assert sent.headers["x-api-key"] == "secret"


def test_a_name_serves_as_an_id(page: Page, shop: Shop) -> None:
    call(page, 'await shop.product("products/a b/ä?"); await shop.product("42")')
    assert [sent.path for sent in shop.sent] == [
        "/v1/products/a%20b%2F%C3%A4%3F",
        "/v1/products/42",
    ]


def test_products_are_listed_by_address_and_similar_ones_asked_for_in_json(
    page: Page, shop: Shop
) -> None:
    code = """
      await shop.products({ productCategories: ["a", "b"], pageSize: 5 });
      await shop.similar("products/4", { pageSize: 2 });
      return await shop.event({ requestId: "r", type: "click", productId: "4", position: 1 });
    """
    shop.answers = [(200, {}, {}), (200, {}, {}), (204, {}, None)]
    assert call(page, code) is None
    listed, similar, event = shop.sent
    assert listed.path == "/v1/products?productCategories=a&productCategories=b&pageSize=5"
    assert (similar.method, similar.path) == ("POST", "/v1/products/4:similar")
    assert json.loads(similar.body) == {"pageSize": 2}
    assert json.loads(event.body)["type"] == "click"


# -- refusals


@pytest.mark.parametrize(("status", "reason"), [(429, "QUEUE_FULL"), (503, "LOADING")])
def test_a_refusal_that_passes_is_waited_for(
    page: Page, shop: Shop, status: int, reason: str
) -> None:
    shop.refuse(status, reason, Retry_After="1")
    code = """
      const start = performance.now();
      const answer = await shop.search(photo);
      return [answer.nextPageToken, performance.now() - start];
    """
    token, waited_ms = call(page, code, jpeg(9, 9))
    assert token == ""
    assert waited_ms >= 1000
    first, second = shop.sent
    assert first.photo == second.photo


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ({}, {}),
        ({"Retry_After": "3600"}, {}),
        ({"Retry_After": "1"}, {"patienceMs": 0}),
        ({"Retry_After": "Wed, 25 Nov 2999 00:00:00 GMT"}, {}),
    ],
    ids=["never", "an hour", "no patience", "a date"],
)
def test_a_refusal_that_does_not_pass_in_time_is_told_at_once(
    page: Page, shop: Shop, headers: dict[str, str], settings: dict[str, int]
) -> None:
    shop.refuse(503, "LOADING", **headers)
    failure = call(page, FAILURE % "shop.index()", settings=settings)
    assert (failure["status"], failure["reason"], len(shop.sent)) == (503, "LOADING", 1)


def test_a_refusal_for_good_is_typed_and_not_repeated(page: Page, shop: Shop) -> None:
    shop.refuse(400, "FILTER_INVALID", X_Request_Id="r1", Retry_After="1")
    failure = call(page, FAILURE % "shop.search(photo)", jpeg(9, 9))
    assert failure == {
        "typed": True,
        "name": "LookalikeError",
        "message": "It is FILTER_INVALID.",
        "reason": "FILTER_INVALID",
        "status": 400,
        "requestId": "r1",
        "metadata": {"limit": "3"},
        "retryAfter": 1,
    }
    assert len(shop.sent) == 1


def test_an_answer_of_a_proxy_is_an_error_like_others(page: Page, shop: Shop) -> None:
    shop.answers.append((502, {}, "Bad gateway"))
    failure = call(page, FAILURE % "shop.index()")
    assert (failure["typed"], failure["reason"], failure["status"]) == (True, "UNKNOWN", 502)
    assert failure["message"] == "The shop answered with error 502."


def test_no_answer_is_an_error_like_others(page: Page) -> None:
    failure = call(page, FAILURE % "shop.index()", base=f"http://127.0.0.1:{free_port()}")
    assert (failure["typed"], failure["reason"], failure["status"]) == (True, "UNREACHABLE", 0)


def test_a_wait_can_be_given_up(page: Page, shop: Shop) -> None:
    shop.refuse(429, "QUEUE_FULL", Retry_After="20")
    code = """
      const stop = new AbortController();
      const asked = shop.search(photo, { signal: stop.signal });
      setTimeout(() => stop.abort(), 300);
      try { await asked; } catch (error) { return error === stop.signal.reason; }
    """
    assert call(page, code, jpeg(9, 9)) is True
    assert len(shop.sent) == 1


def test_a_call_that_is_given_up_before_it_began_sends_nothing(page: Page, shop: Shop) -> None:
    code = "try { await shop.search(photo, { signal: AbortSignal.abort() }); } catch { return 1; }"
    assert call(page, code, jpeg(9, 9)) == 1
    assert shop.sent == []


# -- pages


def test_pages_follow_one_another_with_one_photo_and_the_same_fields(
    page: Page, shop: Shop
) -> None:
    for token in ("second", "third", ""):
        shop.answers.append((200, {}, {"nextPageToken": token}))
    code = """
      const tokens = [];
      for await (const page of shop.search(photo, { pageSize: 2 })) tokens.push(page.nextPageToken);
      return tokens;
    """
    assert call(page, code, jpeg(1000, 1000)) == ["second", "third", ""]
    assert [sent.form.get("pageToken") for sent in shop.sent] == [None, [b"second"], [b"third"]]
    assert {sent.form["pageSize"][0] for sent in shop.sent} == {b"2"}
    assert len({sent.photo for sent in shop.sent}) == 1


# -- the function itself


def test_a_page_of_another_origin_imports_it_and_goes_through_all_products(
    page: Page, shop: Shop, tiny_release: TinyRelease, tmp_path: Path
) -> None:
    code = """
      const names = [];
      for await (const page of shop.search(photo, { pageSize: 4 })) {
        names.push(...page.productSearchResults.results.map(({ product }) => product.name));
      }
      const { name } = await shop.product(names[0]);
      const { counts } = await shop.index();
      return [names, name, counts.products];
    """
    with run_function(
        tmp_path / "log.txt", root=str(tiny_release.root), cors_origins=shop.url
    ) as running:
        module = f"{running.url}/web/lookalike.js"
        names, first, products = call(page, code, jpeg(900, 900), module=module)
    assert len(set(names)) == products == PRODUCTS
    assert first == names[0]
    assert shop.sent == []


def test_what_the_function_refuses_is_typed(page: Page, running_function: RunningFunction) -> None:
    # Of the function's origin, without the rules of its page: they forbid what `call` does.
    page.goto(f"{running_function.url}/branding.json")
    failure = call(page, FAILURE % 'shop.search(photo, { filter: "color" })', jpeg(9, 9))
    assert (failure["reason"], failure["status"]) == ("FILTER_INVALID", 400)
    assert re.fullmatch("[0-9a-f]{32}", failure["requestId"])
    assert failure["metadata"]["field"] == "filter"


# -- the types


def test_the_types_name_what_the_module_has(page: Page) -> None:
    code = """
      const methods = Object.getOwnPropertyNames(Lookalike.prototype);
      return [Object.keys(await import("/web/lookalike.js")), methods];
    """
    exported, methods = call(page, code)
    types = (WEB / "lookalike.d.ts").read_text()
    assert set(re.findall(r"^export class (\w+)", types, re.MULTILINE)) == set(exported)
    _, _, client = types.partition("export class Lookalike {")
    assert re.findall(r"^  (\w+)\(", client, re.MULTILINE) == methods


def test_the_types_are_the_documents_and_the_clients_own() -> None:
    types = (WEB / "lookalike.d.ts").read_text()
    (imported,) = re.findall(r"^import type \{(.*?)\} from", types, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\w+", imported)) <= document()["components"]["schemas"].keys()
    own = set(re.findall(r"^export (?:type|class) (\w+)", types, re.MULTILINE))
    assert not own & document()["components"]["schemas"].keys()
