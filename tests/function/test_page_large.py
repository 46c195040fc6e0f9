"""The large view of the demo page: both pictures, and why they match."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages import FOUND, cards, choose, expect_results
from tests.witness import GRID

pytestmark = pytest.mark.slow


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


def open_first(page: Page) -> None:
    cards(page).first.locator(".frame").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def pixels(page: Page, frame: str) -> list[list[list[int]]]:
    """Red, green, blue and alpha of a heat map, in rows."""
    found: list[list[list[int]]] = page.locator(f"{frame} canvas").evaluate(
        """canvas => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          const pixel = (at) => [...data.subarray(4 * at, 4 * at + 4)];
          return Array.from({ length: height }, (_, y) =>
            Array.from({ length: width }, (_, x) => pixel(y * width + x)));
        }"""
    )
    return found


def test_why_a_product_matched_is_asked_only_on_demand(found_page, witness):
    assert "explain" not in witness.asked[0]
    open_first(found_page)
    assert len(witness.asked) == 1
    found_page.get_by_role("button", name="Show what matched").click()
    expect(found_page.locator("#legend-text")).to_have_text(
        "The darker a part, the more it added to the similarity. Clear parts added nothing."
    )
    assert witness.asked[1:] == [{"pageSize": 1, "explain": True}]
    # Each product by itself, from where it stands among those found.
    found_page.keyboard.press("ArrowRight")
    expect(found_page.locator("#lightbox-position")).to_have_text(f"2 of {FOUND}")
    # Which product comes second depends on the processor, and one of them has no photo here.
    heated = found_page.locator("#lightbox-photo canvas")
    expect(heated).to_be_visible()
    token = witness.asked[-1].pop("pageToken")
    assert token
    assert witness.asked[2:] == [{"pageSize": 1}, {"pageSize": 1, "explain": True}]
    assert witness.explained_products == cards(found_page).locator("h3").all_inner_texts()[:2]
    # And once.
    found_page.keyboard.press("ArrowLeft")
    expect(heated).to_be_visible()
    assert len(witness.asked) == 4


@pytest.mark.parametrize("frame", ["#lightbox-photo", "#lightbox-product"])
def test_heat_lies_where_the_match_came_from_and_nowhere_else(found_page, witness, frame):
    witness.explained = {"photo": GRID, "product": GRID}
    open_first(found_page)
    found_page.get_by_role("button", name="Show what matched").click()
    expect(found_page.locator(f"{frame} canvas")).to_be_visible()
    found_page.wait_for_function(
        "frame => document.querySelector(`${frame} canvas`).width !== 300", arg=frame
    )
    heat = pixels(found_page, frame)
    height, width = len(heat), len(heat[0])
    picture = found_page.locator(f"{frame} img")
    ratio = picture.evaluate("image => image.naturalWidth / image.naturalHeight")
    assert width / height == pytest.approx(ratio, rel=0.02)

    def alpha(row: int, column: int) -> int:
        y = round((row + 0.5) / len(GRID) * height)
        return heat[y][round((column + 0.5) / len(GRID[0]) * width)][3]

    assert alpha(1, 1) == max(alpha(row, column) for row in range(3) for column in range(3)) > 180
    # What took from the score, or gave nothing to it, stays clear but for the smoothing.
    assert alpha(2, 0) < 20
    assert alpha(0, 2) < 20
    assert alpha(2, 1) > alpha(0, 1) > alpha(0, 0)


def test_the_heat_can_be_taken_away_again(found_page):
    open_first(found_page)
    why = found_page.get_by_role("button", name="Show what matched")
    why.click()
    expect(found_page.locator("dialog canvas")).to_have_count(2)
    expect(why).to_have_attribute("aria-pressed", "true")
    why.click()
    expect(found_page.locator("dialog canvas")).to_have_count(0)
    expect(found_page.locator("#legend")).not_to_be_visible()


def test_what_cannot_be_explained_is_not_offered_again(found_page, witness):
    witness.unexplained = "GeM pooling does not add up."
    open_first(found_page)
    found_page.get_by_role("button", name="Show what matched").click()
    expect(found_page.locator("#legend-text")).to_have_text("Why it was found cannot be shown.")
    expect(found_page.get_by_role("button", name="Show what matched")).not_to_be_visible()
    expect(found_page.get_by_role("button", name="Close")).to_be_focused()


def test_a_shop_that_explains_nothing_offers_nothing(open_page, witness):
    witness.extra = {"explanationUnavailable": "GeM pooling does not add up."}
    page = open_page(witnessed=True)
    choose(page)
    expect_results(page)
    open_first(page)
    expect(page.get_by_role("button", name="Show what matched")).not_to_be_visible()


def test_what_looks_like_a_product_is_not_explained(found_page):
    cards(found_page).first.get_by_role("link").click()
    expect_results(found_page, FOUND - 1)
    open_first(found_page)
    expect(found_page.get_by_role("button", name="Show what matched")).not_to_be_visible()


def test_without_the_products_own_photo_only_the_searchers_is_explained(found_page, witness):
    witness.explained = {"photo": GRID}
    open_first(found_page)
    found_page.get_by_role("button", name="Show what matched").click()
    expect(found_page.locator("#lightbox-photo canvas")).to_be_visible()
    expect(found_page.locator("#lightbox-product canvas")).to_have_count(0)
    expect(found_page.locator("#legend-text")).to_contain_text("own photo is not kept here")


def test_the_large_view_leads_to_what_looks_like_its_product(found_page):
    open_first(found_page)
    title = found_page.locator("#lightbox-title").inner_text()
    found_page.get_by_role("dialog").get_by_role("link", name=f"More like {title}").click()
    expect(found_page.get_by_role("dialog")).not_to_be_visible()
    expect(found_page.locator("#subject-title")).to_have_text(title)
    expect_results(found_page, FOUND - 1)
