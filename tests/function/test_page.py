"""The demo page in a real browser, over the real function."""

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from tests.releases import PRODUCTS

SEARCH = "**/v1/products:search"
ASKED_FOR = 12
FOUND = PRODUCTS  # all that the tiny release has
PHONE: ViewportSize = {"width": 360, "height": 740}

type OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, function_url: str) -> Iterator[OpenPage]:
    """Open the page with the options of a browser context; fail where it complained."""
    contexts = []
    complaints: list[str] = []

    def open_one(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        # One product brings a picture from elsewhere, which no test may ask for.
        context.route("https://shop.example/**", lambda route: route.fulfill(body=photo()))
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        # Choosers are caught from some moment after the first listener; a key press may be faster.
        page.on("filechooser", lambda chooser: None)
        page.goto(function_url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    # The browser itself notes every answer that is an error; the tests of errors cause those.
    assert not [text for text in complaints if "Failed to load resource" not in text]


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page(viewport={"width": 1280, "height": 800})


def photo(width: int = 320, height: int = 240, **save: Any) -> bytes:
    """A JPEG: red above, blue below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = (220, 40, 30)
    pixels[height // 2 :] = (30, 40, 220)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **save)
    return file.getvalue()


def choose(page: Page, data: bytes | None = None, name: str = "photo.jpg") -> None:
    content = photo() if data is None else data
    page.set_input_files("#file", {"name": name, "mimeType": "image/jpeg", "buffer": content})


def cards(page: Page) -> Any:
    return page.locator(".card:not(.skeleton)")


def expect_results(page: Page) -> None:
    expect(cards(page)).to_have_count(FOUND)
    expect(page.get_by_role("heading", level=2)).to_have_text(f"{FOUND} similar products")


def transfer(page: Page, data: bytes) -> Any:
    """A DataTransfer that carries a photo, as a drop or a paste brings it."""
    return page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          const file = new File([new Uint8Array(bytes)], "p.jpg", { type: "image/jpeg" });
          transfer.items.add(file);
          return transfer;
        }""",
        list(data),
    )


def uploaded(page: Page, data: bytes, name: str = "photo.jpg") -> bytes:
    """What the page uploads for a photo: Chromium shows a request's text, but not its files."""
    page.evaluate(
        """() => {
          const send = window.fetch;
          window.fetch = (address, options) => {
            if (options?.body) window.uploaded = options.body.get("image");
            return send(address, options);
          };
        }"""
    )
    choose(page, data, name)
    expect_results(page)
    sent = page.evaluate("async () => [...new Uint8Array(await window.uploaded.arrayBuffer())]")
    return bytes(sent)


def refuse(status: int, message: str, **headers: str) -> Callable[[Route], None]:
    """Answer as the function would."""
    body = json.dumps({"error": {"code": status, "message": message}})
    return lambda route: route.fulfill(
        status=status, content_type="application/json", body=body, headers=headers
    )


def test_a_chosen_photo_finds_products_with_their_pictures(open_page):
    noise: list[str] = []
    page = open_page()
    page.on("console", lambda message: noise.append(message.text))
    choose(page)
    expect_results(page)
    expect(page.get_by_role("status")).to_have_text(f"{FOUND} similar products found.")
    expect(page.get_by_alt_text("The photo you are searching with")).to_be_visible()
    for card in cards(page).all():
        card.scroll_into_view_if_needed()
        card.locator("img").evaluate("image => image.decode()")
        assert card.locator("img").evaluate("image => image.naturalWidth") > 0
        assert card.locator("img").get_attribute("alt") == card.locator("h3").inner_text()
        assert card.locator(".number").inner_text().endswith("% similar")
    assert noise == []


def test_the_best_product_comes_first(page):
    choose(page)
    expect_results(page)
    shown = [int(text.split("%")[0]) for text in page.locator(".number").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)


def test_the_footer_says_what_is_indexed(page, function_url):
    index = page.request.get(f"{function_url}/v1/index").json()
    expect(page.locator("#counts")).to_contain_text(f"{index['counts']['products']} products")
    expect(page.locator("#counts")).to_contain_text(index["modelVersion"])


def test_a_photo_can_be_dropped_anywhere(page):
    dropped = transfer(page, photo())
    page.dispatch_event("footer", "dragenter", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo to search with it")).to_be_visible()
    page.dispatch_event("footer", "drop", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo to search with it")).not_to_be_visible()
    expect_results(page)


def test_a_photo_can_be_pasted(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(64, 64);
          canvas.getContext("2d").fillRect(16, 16, 32, 32);
          const blob = await canvas.convertToBlob({ type: "image/png" });
          await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }"""
    )
    page.keyboard.press("Control+V")
    expect_results(page)


def test_everything_can_be_done_with_the_keyboard_alone(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose a photo")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(
        files={"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    expect_results(page)
    expect(page.get_by_role("button", name="Choose another photo")).to_be_focused()
    page.keyboard.press("Tab")
    first = page.get_by_role("button", name="Enlarge").first
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text(f"1 of {FOUND}")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text(f"2 of {FOUND}")
    second = cards(page).nth(1).locator("h3").inner_text()
    expect(dialog.get_by_role("heading")).to_have_text(second)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(first).to_be_focused()


def test_the_keyboard_can_skip_to_the_results(page):
    choose(page)
    expect_results(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Enlarge").first).to_be_focused()


def test_the_focus_can_be_seen_wherever_it_goes(page):
    choose(page)
    expect_results(page)
    for _ in range(5):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => ["", "::after"].some((part) =>
              getComputedStyle(document.activeElement, part).outlineStyle === "solid")"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")


def test_the_large_view_shows_both_pictures(page):
    choose(page)
    expect_results(page)
    cards(page).nth(2).click()
    for image in page.get_by_role("dialog").get_by_role("img").all():
        image.evaluate("image => image.decode()")
        assert image.evaluate("image => image.naturalWidth") > 0
    expect(page.get_by_role("dialog")).to_contain_text("Similarity")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).not_to_be_visible()


def test_a_text_file_named_jpg_is_refused_in_the_words_of_the_function(page):
    with page.expect_response(SEARCH) as response:
        choose(page, b"Dear shop, this is no photo.")
    assert response.value.status == 415
    message = response.value.json()["error"]["message"]
    expect(page.get_by_role("alert")).to_have_text(message)
    expect(page.get_by_text("Please choose another photo.")).to_be_visible()
    # It would be refused again.
    expect(page.get_by_role("button", name="Try again")).not_to_be_visible()
    choose(page)
    expect_results(page)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_failed_search_can_be_tried_again(page):
    page.route(SEARCH, refuse(500, "Something failed here."), times=1)
    choose(page)
    expect(page.get_by_role("alert")).to_have_text("Something failed here.")
    page.get_by_role("button", name="Try again").click()
    expect_results(page)


def test_while_the_release_loads_the_page_waits_visibly_and_tries_again(page):
    page.route(SEARCH, refuse(503, "Still loading.", **{"Retry-After": "1"}), times=1)
    choose(page)
    expect(page.get_by_text("Still loading. Trying again in 1 s.")).to_be_visible()
    expect_results(page)


def test_a_search_that_fails_offline_goes_on_when_the_network_is_back(page):
    page.context.set_offline(True)
    choose(page)
    expect(page.get_by_role("alert")).to_have_text("You are offline.")
    page.context.set_offline(False)
    expect_results(page)


def test_an_answer_from_something_in_front_of_the_function_is_no_riddle(page):
    page.route(SEARCH, lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    choose(page)
    expect(page.get_by_role("alert")).to_have_text("The shop answered with error 502.")


def test_a_running_search_can_be_cancelled(page):
    page.route(SEARCH, lambda route: None)
    with page.expect_event("requestfailed") as failed:
        choose(page)
        expect(page.locator(".skeleton")).to_have_count(ASKED_FOR)
        expect(page.get_by_role("status")).to_have_text("Searching…")
        page.get_by_role("button", name="Cancel").click()
    assert failed.value.failure == "net::ERR_ABORTED"
    expect(page.get_by_role("status")).to_have_text("Search cancelled.")
    expect(page.get_by_role("button", name="Choose a photo")).to_be_focused()
    expect(page.locator(".card")).to_have_count(0)


def test_a_new_photo_cancels_the_search_with_the_old_one(page):
    page.route(SEARCH, lambda route: None, times=1)
    with page.expect_event("requestfailed") as failed:
        with page.expect_request(SEARCH):
            choose(page)
        choose(page)
    assert failed.value.failure == "net::ERR_ABORTED"
    expect_results(page)


def test_nothing_found_says_what_to_try(page):
    empty = {"productSearchResults": {"results": []}}
    page.route(SEARCH, lambda route: route.fulfill(json=empty))
    choose(page)
    expect(page.get_by_role("heading", name="Nothing similar found")).to_be_visible()
    expect(page.get_by_text("Try a photo that shows one product")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("No similar products found.")


def test_a_picture_that_does_not_load_leaves_its_title(page):
    page.route("**/*", refuse_images)
    choose(page)
    expect_results(page)
    for card in cards(page).all():
        card.scroll_into_view_if_needed()
        expect(card.locator(".missing")).to_have_text(card.locator("h3").inner_text())


def refuse_images(route: Route) -> None:
    if route.request.resource_type == "image" and not route.request.url.startswith("blob:"):
        route.abort()
    else:
        route.continue_()


def test_a_phone_photo_is_made_small_and_upright_before_it_travels(page):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    exif[0x010E] = "where it was taken"
    original = photo(4000, 3000, exif=exif)
    sent = Image.open(BytesIO(uploaded(page, original)))
    assert sent.size == (384, 512)
    assert not sent.getexif()
    # Turned clockwise, what was above is on the right.
    red, _, blue = sent.getpixel((360, 256))
    assert red > blue
    red, _, blue = sent.getpixel((24, 256))
    assert red < blue


def test_a_small_photo_travels_as_it_is(page):
    original = photo()
    assert uploaded(page, original) == original


def test_what_a_jpeg_cannot_hold_lies_on_white(page):
    file = BytesIO()
    Image.new("RGBA", (2000, 1000)).save(file, "PNG")
    sent = Image.open(BytesIO(uploaded(page, file.getvalue(), "photo.png")))
    assert sent.getpixel((10, 10)) == (255, 255, 255)


def test_the_products_take_the_places_that_were_kept_for_them(page):
    held: list[Route] = []
    page.route(SEARCH, lambda route: held.append(route))
    choose(page)
    expect(page.locator(".skeleton")).to_have_count(ASKED_FOR)
    before = page.locator(".skeleton .frame").first.bounding_box()
    held[0].continue_()
    expect_results(page)
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    assert page.locator(".card .frame").first.bounding_box() == before


def test_a_phone_needs_no_sideways_scrolling(open_page):
    page = open_page(viewport=PHONE, is_mobile=True, has_touch=True)
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    for state in every_state(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], state
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, state


def test_a_photo_can_be_taken_on_a_phone(open_page):
    page = open_page(viewport=PHONE, is_mobile=True, has_touch=True)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(
        files={"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    expect_results(page)


def every_state(page: Page) -> Iterator[str]:
    """Bring the page from one state to the next."""
    yield "idle"
    choose(page, b"no photo")
    expect(page.get_by_role("alert")).not_to_be_empty()
    yield "error"
    choose(page)
    expect_results(page)
    yield "results"
    cards(page).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "large view"


# Relative luminance and contrast as WCAG 2.2 defines them, of every text that is shown.
CONTRASTS = """() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (color) => {
    const [r, g, b] = [...channels(color)].map((value) => value / 255).map((value) =>
      value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] === 255) return color;
    }
    return "white";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const { parentElement, data } = texts.currentNode;
    if (!data.trim() || !parentElement.checkVisibility({ visibilityProperty: true })) continue;
    const pair = [getComputedStyle(parentElement).color, backgroundOf(parentElement)];
    const [dark, light] = pair.map(luminance).sort((a, b) => a - b);
    found.push([data.trim(), (light + 0.05) / (dark + 0.05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(open_page, scheme):
    page = open_page(color_scheme=scheme)
    for state in every_state(page):
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) >= 5, state
        assert not [(text, ratio) for text, ratio in contrasts if ratio < 4.5], state


def test_nothing_moves_for_who_asked_for_that(open_page):
    page = open_page(reduced_motion="reduce")
    choose(page)
    expect_results(page)
    assert page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize(
    ("accent", "text"), [("#ffe14d", "rgb(0, 0, 0)"), ("navy", "rgb(255, 255, 255)")]
)
def test_the_shop_gives_the_page_its_name_colour_and_number_of_results(open_page, accent, text):
    page = open_page()
    branding = {"title": "Cups & more", "logo": "/web/icon.svg", "accent": accent, "results": 3}
    page.route("**/branding.json", lambda route: route.fulfill(json=branding))
    page.reload()
    expect(page).to_have_title("Cups & more")
    expect(page.get_by_role("banner")).to_have_text("Cups & more")
    expect(page.locator("#logo")).to_be_visible()
    expect(page.locator(".choose svg")).to_have_css("color", text)
    choose(page)
    expect(cards(page)).to_have_count(3)


def test_without_branding_the_page_works_all_the_same(open_page):
    page = open_page()
    page.route("**/branding.json", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("banner")).to_have_text("Lookalike")
    choose(page)
    expect_results(page)


def test_the_page_asks_nobody_but_its_own_server_for_anything_but_product_photos(
    open_page, function_url
):
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(f"{one.resource_type} {one.url}"))
    page.reload()
    choose(page)
    expect_results(page)
    page.wait_for_load_state("networkidle")
    elsewhere = [item for item in asked if f" {function_url}/" not in item]
    assert all(item.startswith(("image blob:", "image https://shop.example")) for item in elsewhere)
