"""function/web/lookalike.js in a real browser: what it sends."""

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.clients import BLUE, GREEN, RED, Shop, call, jpeg, near


def test_a_large_photo_arrives_at_512_px_on_its_longer_side(client: Page, shop: Shop) -> None:
    original = jpeg(3000, 2000)
    call(client, "await shop.search(photo)", original)
    (sent,) = shop.sent
    assert (sent.method, sent.path) == ("POST", "/v1/products:search")
    assert (sent.picture.format, sent.picture.size) == ("JPEG", (512, 341))
    assert len(sent.photo) < len(original)


def test_a_turned_photo_arrives_upright_without_its_exif(client: Page, shop: Shop) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    exif[0x010E] = "where it was taken"
    call(client, "await shop.search(photo)", jpeg(1200, 800, exif=exif))
    picture = shop.sent[0].picture
    assert picture.size == (341, 512)
    assert not picture.getexif()
    # Turned clockwise, what was above is on the right.
    assert near(picture.getpixel((330, 256)), RED)
    assert near(picture.getpixel((10, 256)), BLUE)


@pytest.mark.parametrize("size", [(512, 512), (200, 300), (1, 1)])
def test_a_small_photo_arrives_byte_for_byte(
    client: Page, shop: Shop, size: tuple[int, int]
) -> None:
    original = jpeg(*size)
    call(client, "await shop.search(photo)", original)
    assert shop.sent[0].photo == original


def test_what_no_browser_can_decode_arrives_as_it_is(client: Page, shop: Shop) -> None:
    call(client, "await shop.search(photo)", b"Dear shop, this is no photo.")
    assert shop.sent[0].photo == b"Dear shop, this is no photo."


def test_what_a_jpeg_cannot_hold_arrives_on_white(client: Page, shop: Shop) -> None:
    file = BytesIO()
    Image.new("RGBA", (2000, 1000)).save(file, "PNG")
    call(client, "await shop.search(photo)", file.getvalue(), "image/png")
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
    client: Page, shop: Shop, polygon: dict[str, Any]
) -> None:
    def paint(pixels: Any) -> None:
        pixels[600:800, 1000:1400] = GREEN

    code = "await shop.search(photo, { boundingPoly, pageSize: 3 })"
    call(client, code, jpeg(2000, 1000, paint), boundingPoly=polygon)
    (sent,) = shop.sent
    assert sent.form.keys() == {"image", "pageSize"}
    # As many pixels as the photo has there: nothing is lost, and nothing made up.
    assert sent.picture.size == (400, 200)
    for corner in ((3, 3), (396, 3), (3, 196), (396, 196)):
        assert near(sent.picture.getpixel(corner), GREEN)


def test_a_region_is_one_of_the_upright_photo_and_ends_at_its_edge(
    client: Page, shop: Shop
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # upright it is 1000 wide and 2000 high, blue on the left
    polygon = {"normalizedVertices": [{"y": -1}, {"x": 0.4, "y": -1}, {"x": 0.4, "y": 7}]}
    code = "await shop.search(photo, { boundingPoly })"
    call(client, code, jpeg(2000, 1000, exif=exif), boundingPoly=polygon)
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
    client: Page, shop: Shop, polygon: dict[str, Any]
) -> None:
    original = jpeg(1200, 800)
    code = "await shop.search(photo, { boundingPoly })"
    call(client, code, original, boundingPoly=polygon)
    (sent,) = shop.sent
    assert sent.photo == original
    assert json.loads(sent.form["boundingPoly"][0]) == polygon


def test_fields_travel_in_the_apis_words_and_the_key_in_its_header(
    client: Page, shop: Shop
) -> None:
    fields = {"filter": "a=b", "excludeProductIds": ["1", "2"], "collapseDuplicates": True}
    code = "await shop.search(photo, { ...fields, pageToken: undefined })"
    call(client, code, jpeg(9, 9), fields=fields, settings={"apiKey": "secret"})
    (sent,) = shop.sent
    form = sent.form
    del form["image"]
    assert form == {
        "filter": [b"a=b"],
        "excludeProductIds": [b"1", b"2"],
        "collapseDuplicates": [b"true"],
    }
    assert sent.headers["x-api-key"] == "secret"


def test_a_name_serves_as_an_id(client: Page, shop: Shop) -> None:
    call(client, 'await shop.product("products/a b/ä?"); await shop.product("42")')
    assert [sent.path for sent in shop.sent] == [
        "/v1/products/a%20b%2F%C3%A4%3F",
        "/v1/products/42",
    ]


def test_products_are_listed_by_address_and_similar_ones_asked_for_in_json(
    client: Page, shop: Shop
) -> None:
    code = """
      await shop.products({ productCategories: ["a", "b"], pageSize: 5 });
      await shop.similar("products/4", { pageSize: 2 });
      return await shop.event({ requestId: "r", type: "click", productId: "4", position: 1 });
    """
    shop.answers = [(200, {}, {}), (200, {}, {}), (204, {}, None)]
    assert call(client, code) is None
    listed, similar, event = shop.sent
    assert listed.path == "/v1/products?productCategories=a&productCategories=b&pageSize=5"
    assert (similar.method, similar.path) == ("POST", "/v1/products/4:similar")
    assert json.loads(similar.body) == {"pageSize": 2}
    assert json.loads(event.body)["type"] == "click"
