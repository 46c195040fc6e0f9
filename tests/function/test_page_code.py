"""The present search as code: what the demo page offers to copy does what the page did."""

import json
import subprocess

import pytest
from playwright.sync_api import Page, expect

from tests.pages import KEY, cards, choose, expect_results, photo

pytestmark = pytest.mark.slow


def code(page: Page, language: str) -> str:
    """What is copied."""
    if not page.locator("#request[open]").count():
        page.locator("summary", has_text="This search as code").click()
    block = page.locator(f"#request-{language}")
    expect(block).to_be_visible()
    return block.inner_text()


def names(page: Page) -> list[str]:
    return cards(page).locator("h3").all_inner_texts()


def titles(answer: dict) -> list[str]:
    return [one["product"]["displayName"] for one in answer["productSearchResults"]["results"]]


def test_curl_finds_what_the_page_found(open_page, tmp_path):
    page = open_page()
    choose(page)
    expect_results(page)
    page.locator("#filters").evaluate("panel => { panel.open = true; }")
    page.get_by_role("checkbox", name="round").check()
    page.get_by_role("checkbox", name="shapes").check()
    expect_results(page, 3)
    expect(page.locator(".chip")).to_have_count(2)
    command = code(page, "curl")
    (tmp_path / "photo.jpg").write_bytes(photo())
    ran = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=60
    )
    assert titles(json.loads(ran.stdout)) == names(page)


def test_curl_quotes_what_a_shell_would_read(page):
    nasty = """it's "$(touch /tmp/x)" \\ `ls` @file <in>"""
    command = page.evaluate(
        """async (value) => {
          const { curl } = await import("./web/snippets.js");
          const { WHOLE } = await import("./web/box.js");
          const box = { ...WHOLE, left: 0.5 };
          return curl({ kind: "photo", photo: 1, box, filters: { productCategory: [value] } }, 5);
        }""",
        nasty,
    )
    shown = subprocess.run(
        ["bash", "-c", command.replace("curl", "printf '%s\\n'", 1)],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout.splitlines()
    polygon = '{"normalizedVertices":[{"x":0.5,"y":0},{"x":1,"y":0},{"x":1,"y":1},{"x":0.5,"y":1}]}'
    assert shown[1:] == [
        *("-F", "image=@photo.jpg"),
        *("--form-string", "pageSize=5"),
        *("--form-string", f"boundingPoly={polygon}"),
        *("--form-string", f"productCategories={nasty}"),
    ]


def run_javascript(page: Page, text: str) -> dict:
    """Run what is copied, importing where it runs."""
    body = text.replace("import { Lookalike } from", "const { Lookalike } = await import(", 1)
    body = body.replace('lookalike.js";', 'lookalike.js");', 1)
    answer: dict = page.evaluate(
        """async ([body, bytes]) => {
          const photo = new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" });
          const AsyncFunction = (async () => {}).constructor;
          return new AsyncFunction("photo", "apiKey", `${body}; return answer;`)(photo, "");
        }""",
        [body, list(photo())],
    )
    return answer


def test_javascript_finds_what_the_page_found(open_page):
    # Only the test makes code of text; the page's policy would not let it.
    page = open_page(bypass_csp=True)
    choose(page)
    expect_results(page)
    assert titles(run_javascript(page, code(page, "javascript"))) == names(page)
    cards(page).first.get_by_role("link").click()
    expect_results(page, 5)
    assert titles(run_javascript(page, code(page, "javascript"))) == names(page)


def test_code_is_copied_and_the_button_says_so(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    choose(page)
    expect_results(page)
    text = code(page, "curl")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text


def test_a_key_is_named_and_never_shown(open_page, locked_url):
    page = open_page(url=locked_url)
    choose(page)
    page.get_by_role("textbox", name="Access key").fill(KEY)
    page.keyboard.press("Enter")
    expect_results(page)
    curl, javascript = code(page, "curl"), code(page, "javascript")
    assert '-H "X-Api-Key: $LOOKALIKE_API_KEY"' in curl
    assert "{ apiKey }" in javascript
    assert "sesame" not in curl + javascript
