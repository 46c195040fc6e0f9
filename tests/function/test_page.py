"""The demo page in a real browser, over the real function: photo to products."""

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

import function
from tests.pages import ASKED_FOR, FOUND, SEARCH, cards, choose, expect_results, hold_search, refuse


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


def test_the_products_take_the_places_that_were_kept_for_them(page):
    let_go = hold_search(page)
    choose(page)
    expect(page.locator(".skeleton")).to_have_count(ASKED_FOR)
    before = page.locator(".skeleton .frame").first.bounding_box()
    let_go()
    expect_results(page)
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    assert page.locator(".card .frame").first.bounding_box() == before


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


def test_cards_say_what_a_product_costs_and_what_it_is(page):
    choose(page)
    expect_results(page)
    for card in cards(page).all():
        number = card.locator("h3").inner_text().removeprefix("Product ")
        expect(card.locator(".price")).to_have_text(f"{number}.00 EUR")
        expect(card.locator(".category")).to_have_text("shapes")


def test_where_it_is_known_a_card_says_how_likely_it_is_the_same_product(open_page, witness):
    witness.probability = 0.92
    page = open_page(witnessed=True)
    choose(page)
    expect_results(page)
    expect(cards(page).first.locator(".number")).to_have_text("92% likely the same product")
    # What is rather another product is told by how it looks.
    expect(cards(page).nth(1).locator(".number")).to_contain_text("similar")


def test_where_nothing_is_certainly_it_the_page_says_so_beside_the_nearest(open_page, witness):
    witness.extra = {"noConfidentMatch": True}
    page = open_page(witnessed=True)
    choose(page)
    expect_results(page)
    doubt = "Whether one of them is the very product is not certain."
    expect(page.locator("#remark")).to_have_text(doubt)
    expect(page.get_by_role("status")).to_contain_text(doubt)


def three_at_a_time(page):
    page.route("**/branding.json", lambda route: route.fulfill(json={"results": 3}))
    page.reload()
    choose(page)
    expect_results(page, 3)


def test_more_products_follow_the_first_without_repeating_any(page):
    three_at_a_time(page)
    page.get_by_role("button", name="Show more").click()
    expect_results(page, FOUND)
    expect(page.get_by_role("status")).to_have_text("3 more products.")
    titles = cards(page).locator("h3").all_inner_texts()
    assert len(set(titles)) == FOUND
    # The keyboard goes on where the new ones begin; after the last page there is no more.
    expect(cards(page).nth(3).locator(".frame")).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).not_to_be_visible()
    cards(page).nth(4).locator(".frame").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"5 of {FOUND}")


def test_a_page_that_fails_leaves_what_is_there_and_can_be_asked_for_again(page):
    three_at_a_time(page)
    page.route(SEARCH, refuse(500, "Something failed here."), times=1)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#more-problem")).to_have_text("Something failed here.")
    expect(cards(page)).to_have_count(3)
    page.get_by_role("button", name="Show more").click()
    expect_results(page, FOUND)


def test_after_the_index_was_replaced_more_begins_anew(page):
    three_at_a_time(page)
    details = [{"reason": "PAGE_TOKEN_EXPIRED"}]
    body = {"error": {"code": 400, "message": "The index was replaced.", "details": details}}
    page.route(SEARCH, lambda route: route.fulfill(status=400, json=body), times=1)
    with page.expect_request_finished(lambda one: one.url.endswith(":search")):
        page.get_by_role("button", name="Show more").click()
    expect_results(page, 3)


def test_whose_product_was_opened_is_told_to_the_shop(page, witness):
    with page.expect_response(SEARCH) as response:
        choose(page)
    expect_results(page)
    with page.expect_request("**/v1/events"):
        cards(page).nth(2).locator(".frame").click()
    answer = response.value.json()
    product = answer["productSearchResults"]["results"][2]["product"]["name"]
    assert witness.events == [
        {
            "requestId": answer["requestId"],
            "type": "click",
            "productId": product.removeprefix("products/"),
            "position": 3,
        }
    ]


def test_events_that_cannot_be_told_disturb_nobody(page):
    page.route("**/v1/events", lambda route: route.abort())
    choose(page)
    expect_results(page)
    cards(page).first.locator(".frame").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"1 of {FOUND}")


def test_all_files_of_the_page_together_are_small():
    web = Path(function.__file__).with_name("web")
    # Types are for those who write programs; no browser reads them.
    files = [x for x in web.rglob("*") if x.is_file() and not x.name.endswith(".d.ts")]
    assert sum(file.stat().st_size for file in files) < 100_000
