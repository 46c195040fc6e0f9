"""The demo page when something goes wrong, is slow, or is refused."""

from playwright.sync_api import expect

from tests.pages import (
    ASKED_FOR,
    DESK,
    KEY,
    SEARCH,
    cards,
    choose,
    expect_results,
    hold_search,
    refuse,
)
from tests.ports import free_port
from tests.server import run_function


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


def test_who_waits_for_long_is_told_that_the_search_goes_on(page):
    let_go = hold_search(page)
    choose(page)
    remark = "This takes longer than usual. The search goes on."
    expect(page.locator("#remark")).to_have_text(remark)
    expect(page.get_by_role("status")).to_have_text(remark)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    let_go()
    expect_results(page)
    expect(page.get_by_text(remark)).not_to_be_visible()


def test_a_search_goes_on_when_the_function_restarts_underneath(open_page, tiny_release, tmp_path):
    port = free_port()
    with run_function(tmp_path / "first.txt", root=str(tiny_release.root), port=port) as running:
        page = open_page(url=running.url, viewport=DESK)
        choose(page)
        expect_results(page)
    choose(page)
    expect(page.locator("#remark")).to_contain_text("The shop could not be reached. Trying again")
    with run_function(tmp_path / "second.txt", root=str(tiny_release.root), port=port):
        expect_results(page)


def test_a_shop_that_stays_away_is_not_asked_for_ever(page):
    page.clock.install()
    page.route(SEARCH, lambda route: route.abort())
    choose(page)
    expect(page.locator("#remark")).to_contain_text("Trying again in 1 s.")
    for _ in range(15):
        page.clock.run_for(1000)
    expect(page.get_by_role("alert")).to_have_text("The shop could not be reached.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_shop_with_a_key_asks_for_it_and_goes_on_with_it(open_page, locked_url):
    page = open_page(url=locked_url)
    choose(page)
    key = page.get_by_role("textbox", name="Access key")
    expect(key).to_be_focused()
    expect(page.get_by_role("alert")).to_have_text("This shop answers to who has its key.")
    key.fill("let me in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This key was not accepted.")
    key.fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    expect_results(page)
    # Known in this tab, and in no other place.
    page.reload()
    choose(page)
    expect_results(page)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_with_a_key_events_carry_it_in_no_address(open_page, locked_url):
    page = open_page(url=locked_url)
    choose(page)
    page.get_by_role("textbox", name="Access key").fill(KEY)
    page.keyboard.press("Enter")
    expect_results(page)
    with page.expect_request("**/v1/events") as event:
        cards(page).first.locator(".frame").click()
    assert event.value.headers["x-api-key"] == KEY
    assert "sesame" not in event.value.url
