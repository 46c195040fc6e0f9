"""How photos come into the demo page, and how they travel from it."""

from io import BytesIO
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from tests.pages import PHONE, choose, expect_results, photo


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


def test_a_photo_can_be_taken_on_a_phone(open_page):
    page = open_page(viewport=PHONE, is_mobile=True, has_touch=True)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(
        files={"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    expect_results(page)


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
