"""Addresses of the demo page: links to what looks like a product, Back and Forward."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.pages import DESK, FOUND, cards, choose, expect_results

pytestmark = pytest.mark.slow


def query(page: Page) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).query)


def test_each_product_leads_to_what_looks_like_it(found_page, witness):
    third = cards(found_page).nth(2)
    title = third.locator("h3").inner_text()
    product = title.replace("Product ", "p")
    third.get_by_role("link", name=f"More like {title}").click()
    expect(found_page.locator("#subject-title")).to_have_text(title)
    expect_results(found_page, FOUND - 1)
    assert title not in cards(found_page).locator("h3").all_inner_texts()
    assert query(found_page) == [("similar", product)]
    assert witness.asked[-1] == {"similar": product, "pageSize": 12}
    assert [event["productId"] for event in witness.events] == [product]
    # A photo is still to be had, and a product has no box.
    expect(found_page.get_by_role("button", name="Choose a photo")).to_be_visible()
    expect(found_page.locator("#photo")).not_to_be_visible()


def test_a_link_opens_the_same_search_with_its_filters(open_page, witness):
    page = open_page("/?similar=p1&filter.shape=round&filter.productCategory=shapes")
    expect_results(page, 2)
    expect(page.locator("#subject-title")).to_have_text("Product 1")
    expect(page.get_by_role("checkbox", name="round")).to_be_checked()
    asked = {"pageSize": 12, "productCategories": ["shapes"], "filter": "shape=round"}
    assert witness.asked == [{"similar": "p1", **asked}]


def test_filters_of_a_similar_search_are_in_its_address(open_page):
    page = open_page("/?similar=p1", viewport=DESK)
    expect_results(page, FOUND - 1)
    page.get_by_role("checkbox", name="round").check()
    expect_results(page, 2)
    assert query(page) == [("similar", "p1"), ("filter.shape", "round")]
    page.reload()
    expect_results(page, 2)


def test_a_link_to_a_product_that_is_gone_says_so(open_page):
    page = open_page("/?similar=nothing")
    expect(page.get_by_role("alert")).to_contain_text("There is no product")
    choose(page)
    expect_results(page)
    assert query(page) == []


def test_back_and_forward_go_between_searches(found_page, witness):
    stage = found_page.locator("#stage")
    found_page.locator("#crop").press("Shift+ArrowLeft")
    expect(found_page.get_by_role("button", name="Whole photo")).to_be_visible()
    found_page.wait_for_function("() => history.length > 3")
    expect_results(found_page)
    cards(found_page).first.get_by_role("link").click()
    expect_results(found_page, FOUND - 1)
    found_page.go_back()
    # The photo is still there, with its box.
    expect_results(found_page)
    expect(stage).to_be_visible()
    expect(found_page.get_by_role("button", name="Whole photo")).to_be_visible()
    found_page.go_back()
    expect(found_page.get_by_role("button", name="Whole photo")).not_to_be_visible()
    expect_results(found_page)
    found_page.go_back()
    expect(found_page.get_by_role("heading", name="Find it by photo")).to_be_visible()
    found_page.go_forward()
    expect_results(found_page)
    boxes = ["boundingPoly" in asked for asked in witness.asked]
    assert boxes == [False, True, False, True, False, False]


def test_after_a_reload_a_photo_is_asked_for_again(found_page):
    found_page.reload()
    expect(found_page.get_by_role("button", name="Choose a photo")).to_be_visible()
    expect(found_page.locator("#page")).to_have_attribute("data-state", "idle")


def test_a_link_in_a_new_tab_leaves_this_one_alone(found_page):
    link = cards(found_page).first.get_by_role("link")
    with found_page.context.expect_page() as opened:
        link.click(modifiers=["Control"])
    expect_results(opened.value, FOUND - 1)
    expect_results(found_page)
    assert query(found_page) == []
