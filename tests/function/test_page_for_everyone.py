"""The demo page by keyboard, with a screen reader, on a phone, in the dark."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.pages import DESK, FOUND, PHONE, SEARCH, cards, choose, expect_results, photo, refuse

pytestmark = pytest.mark.slow


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press the key until the target has the focus."""
    for _ in range(25):
        page.keyboard.press(key)
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not come to {target}")


def test_everything_can_be_done_with_the_keyboard_alone(open_page):
    page = open_page(witnessed=True, viewport=DESK)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose a photo")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(
        files={"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    expect_results(page)
    expect(page.get_by_role("button", name="Choose another photo")).to_be_focused()
    first = page.get_by_role("button", name="Enlarge").first
    tab_to(page, first)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text(f"1 of {FOUND}")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text(f"2 of {FOUND}")
    second = cards(page).nth(1).locator("h3").inner_text()
    expect(dialog.get_by_role("heading")).to_have_text(second)
    why = dialog.get_by_role("button", name="Show what matched")
    tab_to(page, why)
    page.keyboard.press("Space")
    expect(dialog.locator("#scale")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(first).to_be_focused()


def test_the_keyboard_can_skip_to_the_results(page):
    choose(page)
    expect_results(page)
    tab_to(page, page.get_by_role("link", name="Skip to the results"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Enlarge").first).to_be_focused()


def test_the_focus_can_be_seen_wherever_it_goes(page):
    choose(page)
    expect_results(page)
    expect(page.locator("#filters")).to_be_visible()
    page.locator("summary", has_text="This search as code").click()
    page.locator("#skip").focus()
    places = 0
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        places += 1
        seen = page.evaluate(
            """() => [["", ""], ["", "::after"], [".box", ""]].some(([within, part]) => {
              const { activeElement } = document;
              const drawn = within ? activeElement.querySelector(within) : activeElement;
              return drawn && getComputedStyle(drawn, part).outlineStyle === "solid";
            })"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")
    # Two for each product, and the photo's, the filters' and the code's.
    assert places > 2 * FOUND + 8


def every_state(page: Page) -> Iterator[str]:
    """Bring the page from one state to the next."""
    yield "idle"
    page.route(SEARCH, lambda route: None, times=1)
    with page.expect_request(SEARCH):
        choose(page)
    expect(page.locator(".skeleton").first).to_be_visible()
    yield "loading"
    choose(page, b"no photo")
    expect(page.get_by_role("alert")).not_to_be_empty()
    yield "error"
    page.route(SEARCH, refuse(401, "Send a key."), times=1)
    choose(page)
    expect(page.get_by_role("textbox", name="Access key")).to_be_visible()
    yield "locked"
    choose(page)
    expect_results(page)
    expect(page.locator("#filters")).to_be_visible()
    page.locator("summary", has_text="This search as code").click()
    yield "results"
    if page.get_by_role("button", name="Crop").is_visible():
        page.get_by_role("button", name="Crop").click()
    page.locator("#crop").press("Shift+ArrowLeft")
    expect(page.get_by_role("button", name="Whole photo")).to_be_visible()
    yield "cropping"
    if not page.get_by_role("checkbox", name="round").is_visible():
        page.locator("summary", has_text="Filters").click()
    page.get_by_role("checkbox", name="round").check()
    expect_results(page, FOUND // 2)
    yield "filtered"
    cards(page).first.locator(".frame").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "large view"
    page.get_by_role("button", name="Show what matched").click()
    expect(page.locator("#scale")).to_be_visible()
    yield "heat map"
    page.get_by_role("dialog").get_by_role("link", name="More like").click()
    expect_results(page, FOUND - 1)
    expect(page.get_by_role("dialog")).not_to_be_visible()
    yield "similar"


def test_a_phone_needs_no_sideways_scrolling(open_page):
    page = open_page(witnessed=True, viewport=PHONE, is_mobile=True, has_touch=True)
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    for state in every_state(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], state
        for kind in ("button", "link"):
            for target in page.get_by_role(kind).all():
                box = target.bounding_box()
                assert box is not None
                assert box["height"] >= 44, (state, target.inner_text())


# What fades in is paler for a moment.
AT_REST = """() => {
  const ending = document.getAnimations().filter((one) => one.effect.getTiming().iterations === 1);
  return Promise.all(ending.map((one) => one.finished));
}"""

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
    page = open_page(witnessed=True, color_scheme=scheme)
    for state in every_state(page):
        page.evaluate(AT_REST)
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) >= 5, state
        assert not [(text, ratio) for text, ratio in contrasts if ratio < 4.5], state


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_in_any_state(open_page, scheme, size):
    page = open_page(witnessed=True, color_scheme=scheme, viewport=size)
    for state in every_state(page):
        page.evaluate(AT_REST)
        found = Axe().run(page)
        assert found.violations_count == 0, (state, found.generate_report())


def test_nothing_moves_for_who_asked_for_that(open_page):
    page = open_page(witnessed=True, reduced_motion="reduce")
    for state in every_state(page):
        assert page.evaluate("document.getAnimations().length") == 0, state
