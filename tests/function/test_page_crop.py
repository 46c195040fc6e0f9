"""The box on the demo page's photo: what is searched is what lies in it."""

from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.pages import DESK, PHONE, SEARCH, choose, expect_results, photo

WHOLE = (0.0, 0.0, 1.0, 1.0)

pytestmark = pytest.mark.slow


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the photo, in fractions of it."""
    area = page.locator("#stage").bounding_box()
    assert area is not None
    for across, down in (start, end):
        page.mouse.move(area["x"] + across * area["width"], area["y"] + down * area["height"])
        if (across, down) == start:
            page.mouse.down()
    with page.expect_response(SEARCH):
        page.mouse.up()


def box(page: Page) -> tuple[float, ...]:
    """Left, top, right and bottom of what is shown as searched."""
    left, top, right, bottom = page.evaluate(
        """() => ["left", "top", "right", "bottom"].map((side) =>
          Number(document.getElementById("stage").style.getPropertyValue(`--${side}`)))"""
    )
    return left, top, 1 - right, 1 - bottom


def polygon(left: float, top: float, right: float, bottom: float) -> object:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    near = [{"x": pytest.approx(x, abs=0.01), "y": pytest.approx(y, abs=0.01)} for x, y in corners]
    return {"normalizedVertices": near}


def test_the_whole_photo_is_searched_at_first(found_page, witness):
    assert box(found_page) == WHOLE
    assert "boundingPoly" not in witness.asked[0]
    expect(found_page.get_by_role("button", name="Whole photo")).not_to_be_visible()


def test_a_dragged_corner_searches_in_what_is_left(found_page, witness):
    drag(found_page, (0, 0), (0.5, 0.25))
    expect_results(found_page)
    assert witness.asked[1]["boundingPoly"] == polygon(0.5, 0.25, 1, 1)
    assert witness.sizes == [(320, 240), (320, 240)]


@pytest.mark.parametrize(
    ("start", "end", "left"),
    [
        ((0.5, 0), (0.6, 0.3), (0, 0.3, 1, 1)),
        ((1, 0.5), (0.7, 0.9), (0, 0, 0.7, 1)),
        ((0, 1), (0.2, 0.8), (0.2, 0, 1, 0.8)),
        # On the whole photo, and outside a box, a drag draws a new one.
        ((0.3, 0.4), (0.8, 0.9), (0.3, 0.4, 0.8, 0.9)),
        ((0.8, 0.8), (0.3, 0.4), (0.3, 0.4, 0.8, 0.8)),
        # Beyond the photo's edge there is nothing to search.
        ((0.4, 0.4), (1.3, 1.3), (0.4, 0.4, 1, 1)),
    ],
)
def test_edges_corners_and_new_boxes_follow_the_pointer(found_page, witness, start, end, left):
    drag(found_page, start, end)
    assert box(found_page) == pytest.approx(left, abs=0.01)
    assert witness.asked[-1]["boundingPoly"] == polygon(*left)


def test_a_box_moves_as_far_as_the_photo_reaches(found_page):
    drag(found_page, (0.3, 0.3), (0.7, 0.7))
    drag(found_page, (0.5, 0.5), (0.6, 0.4))
    assert box(found_page) == pytest.approx((0.4, 0.2, 0.8, 0.6), abs=0.01)
    drag(found_page, (0.6, 0.4), (1.4, 0.4))
    assert box(found_page) == pytest.approx((0.6, 0.2, 1, 0.6), abs=0.01)


def test_the_whole_photo_comes_back_at_a_press(found_page, witness):
    drag(found_page, (0.3, 0.3), (0.7, 0.7))
    with found_page.expect_response(SEARCH):
        found_page.get_by_role("button", name="Whole photo").click()
    assert box(found_page) == WHOLE
    assert "boundingPoly" not in witness.asked[-1]
    expect(found_page.locator("#crop")).to_be_focused()


def test_a_click_draws_no_box_and_searches_nothing(found_page, witness):
    found_page.locator("#crop").click()
    assert box(found_page) == WHOLE
    assert len(witness.asked) == 1


def test_the_keyboard_resizes_and_moves_the_box_and_searches_when_it_rests(found_page, witness):
    crop = found_page.locator("#crop")
    crop.focus()
    for key in ["Shift+ArrowLeft"] * 10 + ["Shift+ArrowUp"] * 5 + ["ArrowRight"] * 3:
        found_page.keyboard.press(key)
    with found_page.expect_response(SEARCH):
        found_page.keyboard.press("ArrowDown")
    assert len(witness.asked) == 2
    assert witness.asked[1]["boundingPoly"] == polygon(0.06, 0.02, 0.86, 0.92)
    expect(crop).to_have_attribute(
        "aria-label",
        "Part of the photo that is searched: 80% wide, 90% high, 6% from the left, 2% from the top",
    )
    expect_results(found_page)
    expect(crop).to_be_focused()


def test_a_phone_makes_room_for_the_box_and_fingers_draw_it(open_page, witness):
    page = open_page(witnessed=True, viewport=PHONE, is_mobile=True, has_touch=True)
    choose(page)
    expect_results(page)
    small = page.locator("#stage").bounding_box()
    page.get_by_role("button", name="Crop").tap()
    expect(page.locator("#crop")).to_be_focused()
    area = page.locator("#stage").bounding_box()
    assert small is not None
    assert area is not None
    assert area["width"] > 2 * small["width"]
    touch = page.context.new_cdp_session(page)
    points = [(0.0, 0.0), (0.2, 0.2), (0.4, 0.4)]
    for kind, (across, down) in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
        point = {"x": area["x"] + across * area["width"], "y": area["y"] + down * area["height"]}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    with page.expect_response(SEARCH):
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert witness.asked[-1]["boundingPoly"] == polygon(0.4, 0.4, 1, 1)
    expect_results(page)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Crop")).to_be_visible()
    again = page.locator("#stage").bounding_box()
    assert again is not None
    assert (again["width"], again["height"]) == (small["width"], small["height"])


def test_the_box_lies_on_the_upright_photo(open_page, witness):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    page = open_page(witnessed=True, viewport=DESK)
    choose(page, photo(4000, 3000, exif=exif))
    expect_results(page)
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    assert stage["width"] / stage["height"] == pytest.approx(3 / 4, abs=0.01)
    drag(page, (0, 0), (0.5, 0.5))
    expect_results(page)
    # The client cuts a large photo itself: the part keeps the resolution it has.
    assert witness.sizes == [(384, 512), (384, 512)]


def test_the_large_view_shows_what_lies_in_the_box(found_page):
    drag(found_page, (0, 0), (0, 0.5))
    expect_results(found_page)
    found_page.locator(".card .frame").first.click()
    shown = found_page.locator("#lightbox-photo img")
    shown.evaluate("image => image.decode()")
    size = shown.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size == pytest.approx([320, 120], abs=2)


def test_a_photo_that_the_browser_cannot_show_has_no_box(open_page):
    page = open_page(viewport=DESK)
    file = BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "TIFF")
    choose(page, file.getvalue(), "photo.tif")
    expect(page.get_by_text("This browser cannot show this photo.")).to_be_visible()
    expect(page.locator("#stage")).not_to_be_visible()
