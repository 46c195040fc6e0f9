"""The shop's products without a photo: listed, narrowed, paged, and a way to look-alikes of one."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.pages import DESK, FOUND, PHONE, OpenPage, cards, choose, expect_results
from tests.witness import Witness


def expect_listed(page: Page, shown: int = FOUND, total: int = FOUND) -> None:
    """Wait for a list of products."""
    expect(page.locator("#results-heading")).to_have_text(f"{total} products")
    expect(cards(page)).to_have_count(shown)


def query(page: Page) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).query, keep_blank_values=True)


def test_who_has_no_photo_sees_the_shops_products(page: Page, witness: Witness) -> None:
    page.get_by_role("link", name="Browse all products").click()
    expect_listed(page)
    titles = [f"Product {number}" for number in range(FOUND)]
    assert cards(page).locator("h3").all_inner_texts() == titles
    assert query(page) == [("browse", "")]
    # Nothing was compared.
    expect(page.locator(".score").first).not_to_be_visible()
    for one in (page.locator("#photo"), page.locator("#subject")):
        expect(one).not_to_be_visible()
    expect(page.get_by_role("button", name="Choose a photo")).to_be_visible()
    assert witness.asked == witness.events == []


def test_it_is_narrowed_by_filters_and_back_leads_to_what_was_before(page: Page) -> None:
    page.get_by_role("link", name="Browse all products").click()
    page.get_by_role("checkbox", name="round").check()
    expect_listed(page, 3, 3)
    assert query(page) == [("browse", ""), ("filter.shape", "round")]
    page.reload()
    expect_listed(page, 3, 3)
    expect(page.get_by_role("checkbox", name="round")).to_be_checked()
    page.go_back()
    expect_listed(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Find it by photo")).to_be_visible()
    page.go_forward()
    expect_listed(page)


@pytest.mark.slow
def test_more_of_them_come_on_demand(open_page: OpenPage) -> None:
    page = open_page(viewport=DESK)
    page.route("**/branding.json", lambda route: route.fulfill(json={"results": 4}))
    page.goto(f"{page.url}?browse")
    expect_listed(page, 4)
    page.get_by_role("button", name="Show more").click()
    expect_listed(page)
    expect(page.get_by_role("button", name="Show more")).not_to_be_visible()
    expect(cards(page).nth(4).locator(".frame")).to_be_focused()


@pytest.mark.slow
def test_each_leads_to_what_looks_like_it(page: Page, witness: Witness) -> None:
    page.get_by_role("link", name="Browse all products").click()
    page.get_by_role("link", name="More like Product 2").click()
    expect(page.locator("#subject-title")).to_have_text("Product 2")
    expect_results(page, FOUND - 1)
    expect(page.locator(".score").first).to_be_visible()
    assert witness.events == []
    page.get_by_role("link", name="Browse all products").click()
    expect_listed(page)
    choose(page)
    expect_results(page)
    assert query(page) == []


@pytest.mark.slow
def test_the_large_view_shows_the_product_alone(page: Page, witness: Witness) -> None:
    page.get_by_role("link", name="Browse all products").click()
    page.get_by_role("button", name="Enlarge Product 1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Product 1")
    expect(dialog.locator("figure:visible")).to_have_count(1)
    expect(dialog).not_to_contain_text("Similarity")
    expect(dialog.get_by_role("button", name="Show what matched")).not_to_be_visible()
    dialog.get_by_role("button", name="Next product").click()
    expect(dialog.get_by_role("heading")).to_have_text("Product 2")
    assert witness.events == []


@pytest.mark.slow
def test_it_is_reached_by_keyboard_and_can_be_had_as_code(page: Page, function_url: str) -> None:
    link = page.get_by_role("link", name="Browse all products")
    for _ in range(5):
        page.keyboard.press("Tab")
        if link.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect_listed(page)
    expect(link).to_be_focused()
    expect(link).to_have_attribute("aria-current", "page")
    page.get_by_role("checkbox", name="round").check()
    expect_listed(page, 3, 3)
    code = page.locator("#request-curl")
    expect(code).to_contain_text("filter=shape=round")
    assert code.text_content() == (
        f"curl -G '{function_url}/v1/products' \\\n"
        "  --data-urlencode 'pageSize=12' \\\n  --data-urlencode 'filter=shape=round'"
    )
    expect(page.locator("#request-javascript")).to_contain_text("shop.products({")


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESK, PHONE])
@pytest.mark.parametrize("path", ["", "/?browse", "/?browse&filter.shape=round"])
def test_nobody_stumbles(open_page: OpenPage, viewport: dict[str, int], path: str) -> None:
    page = open_page(path, viewport=viewport, reduced_motion="reduce")
    if path:
        expect(page.locator("#results-heading")).to_contain_text("products")
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide


@pytest.mark.slow
def test_where_no_product_fits_it_says_so(open_page: OpenPage) -> None:
    page = open_page("/?browse&filter.shape=oval")
    expect(page.locator("#results-heading")).to_have_text("No products")
    expect(page.locator("#remark")).to_have_text("No product fits all of these filters.")
