"""The demo page's filters: what they ask of the API, and what they count."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from function.filters import And, Filter, Label, Or, parse_filter
from tests.pages import FOUND, cards, choose, expect_results

pytestmark = pytest.mark.slow

LISTED = 6

# Any text but half a surrogate pair, and often what the language has for itself.
words = st.one_of(
    st.sampled_from(
        ["AND", "OR", "NOT", "and", "real leather", 'a"b', "it's", "a\\", "=", "(x)", ""]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
labels = st.dictionaries(
    words.filter(lambda key: key != "productCategory"),
    st.lists(words, min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=4,
)


def meaning(filters: dict[str, list[str]]) -> Filter:
    """Values of a key are alternatives, and each key must be satisfied."""
    parts: list[Filter] = []
    for key, values in filters.items():
        either = tuple(Label(key, value) for value in values)
        parts.append(either[0] if len(either) == 1 else Or(either))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def test_whatever_is_chosen_is_what_the_function_reads(page):
    read: list[dict[str, list[str]]] = []

    @settings(max_examples=200, database=None)
    @given(labels)
    def gather(filters: dict[str, list[str]]) -> None:
        read.append(filters)

    gather()
    # As entries, since an object would put keys that look like numbers first.
    written = page.evaluate(
        """async (all) => {
          const { toFields } = await import("./web/filters.js");
          return all.map((entries) => toFields(Object.fromEntries(entries)).filter);
        }""",
        [list(filters.items()) for filters in read],
    )
    for filters, text in zip(read, written, strict=True):
        found = parse_filter(text)
        wanted = meaning(filters)
        if isinstance(found, And) and isinstance(wanted, And):
            assert set(found.parts) == set(wanted.parts), text
        else:
            assert found == wanted, text


def facets(page: Page) -> dict[str, dict[str, str]]:
    """The counts that are shown, by value and key."""
    expect(page.locator("#filters")).to_be_visible()
    shown: dict[str, dict[str, str]] = page.evaluate(
        """() => Object.fromEntries(
          [...document.querySelectorAll("#filters fieldset")].map((group) => {
            const labels = [...group.querySelectorAll("label")];
            const texts = labels.map((one) =>
              [...one.querySelectorAll("span")].map((span) => span.textContent));
            return [group.querySelector("legend").textContent, Object.fromEntries(texts)];
          }))"""
    )
    return shown


def test_categories_and_labels_are_offered_with_their_counts(found_page):
    assert facets(found_page) == {
        "Category": {"shapes": str(FOUND)},
        "Shape": {"square": "3", "round": "3"},
    }


def test_a_chosen_label_narrows_the_answer(found_page, witness):
    found_page.get_by_role("checkbox", name="round").check()
    expect_results(found_page, 3)
    titles = set(cards(found_page).locator("h3").all_inner_texts())
    assert titles == {"Product 1", "Product 3", "Product 5"}
    assert witness.asked[-1] == {"pageSize": 12, "filter": "shape=round"}
    expect(found_page.get_by_role("checkbox", name="round")).to_be_focused()
    # A second value would widen the choice: its count says by how much.
    assert facets(found_page)["Shape"] == {"square": "3", "round": "3"}
    assert facets(found_page)["Category"] == {"shapes": "3"}


def test_values_of_one_key_are_alternatives_and_keys_add_up(found_page, witness):
    found_page.get_by_role("checkbox", name="round").check()
    expect_results(found_page, 3)
    found_page.get_by_role("checkbox", name="square").check()
    expect_results(found_page, FOUND)
    found_page.get_by_role("checkbox", name="shapes").check()
    expect(found_page.locator(".chip")).to_have_count(3)
    expect_results(found_page, FOUND)
    assert witness.asked[-1] == {
        "pageSize": 12,
        "productCategories": ["shapes"],
        "filter": "(shape=round OR shape=square)",
    }


def test_one_filter_or_all_can_be_cleared(found_page, witness):
    found_page.get_by_role("checkbox", name="round").check()
    expect_results(found_page, 3)
    found_page.get_by_role("checkbox", name="shapes").check()
    expect(found_page.locator(".chip")).to_have_count(2)
    found_page.get_by_role("button", name="Remove Shape: round").click()
    expect_results(found_page, FOUND)
    expect(found_page.get_by_role("checkbox", name="round")).not_to_be_checked()
    found_page.get_by_role("checkbox", name="square").check()
    expect_results(found_page, 3)
    found_page.get_by_role("button", name="Clear all").click()
    expect_results(found_page, FOUND)
    expect(found_page.locator("#chips")).not_to_be_visible()
    assert witness.asked[-1] == {"pageSize": 12}


def test_filters_that_nothing_fits_say_so(found_page):
    found_page.route("**/v1/products?*", lambda route: route.fulfill(json=many(1)))
    found_page.get_by_role("checkbox", name="round").check()
    expect_results(found_page, 3)
    found_page.get_by_role("checkbox", name="value 0").check()
    expect(found_page.get_by_text("No product fits all of these filters.")).to_be_visible()
    found_page.get_by_role("button", name="Clear all").click()
    expect_results(found_page, FOUND)


def many(values: int) -> dict[str, Any]:
    counted = [{"value": f"value {n}", "count": 1000 * (values - n)} for n in range(values)]
    return {"products": [], "facets": [{"key": "productCategory", "values": counted}]}


def test_many_values_are_shown_on_demand(page):
    page.route("**/v1/products?*", lambda route: route.fulfill(json=many(20)))
    choose(page)
    expect_results(page)
    expect(page.locator("#filters li:visible")).to_have_count(LISTED)
    expect(page.locator("#filters .count").first).to_have_text("20,000")
    page.get_by_role("button", name="14 more of Category").click()
    expect(page.locator("#filters li:visible")).to_have_count(20)
    expect(page.get_by_role("checkbox", name="value 6")).to_be_focused()


@pytest.mark.parametrize("status", [200, 404])
def test_a_shop_with_nothing_to_filter_by_shows_no_filters(page, status):
    body = {"products": [], "facets": []}
    with page.expect_response("**/v1/products?*"):
        page.route("**/v1/products?*", lambda route: route.fulfill(status=status, json=body))
        choose(page)
    expect_results(page)
    expect(page.locator("#filters")).not_to_be_visible()


def test_a_new_photo_begins_without_filters(found_page, witness):
    found_page.get_by_role("checkbox", name="round").check()
    expect_results(found_page, 3)
    choose(found_page)
    expect_results(found_page, FOUND)
    assert witness.asked[-1] == {"pageSize": 12}
    expect(found_page.get_by_role("checkbox", name="round")).not_to_be_checked()
