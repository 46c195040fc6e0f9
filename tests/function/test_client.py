"""function/web/lookalike.js in a real browser: how it waits, pages and takes a refusal."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from function.openapi.document import document
from tests.clients import FAILURE, WEB, Shop, call, jpeg
from tests.ports import free_port
from tests.releases import PRODUCTS, TinyRelease
from tests.server import RunningFunction, run_function

# -- refusals


@pytest.mark.parametrize(("status", "reason"), [(429, "QUEUE_FULL"), (503, "LOADING")])
def test_a_refusal_that_passes_is_waited_for(
    client: Page, shop: Shop, status: int, reason: str
) -> None:
    shop.refuse(status, reason, Retry_After="1")
    code = """
      const start = performance.now();
      const answer = await shop.search(photo);
      return [answer.nextPageToken, performance.now() - start];
    """
    token, waited_ms = call(client, code, jpeg(9, 9))
    assert token == ""
    assert waited_ms >= 1000
    first, second = shop.sent
    assert first.photo == second.photo


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ({}, {}),
        ({"Retry_After": "3600"}, {}),
        ({"Retry_After": "1"}, {"patienceMs": 0}),
        ({"Retry_After": "Wed, 25 Nov 2999 00:00:00 GMT"}, {}),
    ],
    ids=["never", "an hour", "no patience", "a date"],
)
def test_a_refusal_that_does_not_pass_in_time_is_told_at_once(
    client: Page, shop: Shop, headers: dict[str, str], settings: dict[str, int]
) -> None:
    shop.refuse(503, "LOADING", **headers)
    failure = call(client, FAILURE % "shop.index()", settings=settings)
    assert (failure["status"], failure["reason"], len(shop.sent)) == (503, "LOADING", 1)


def test_a_refusal_for_good_is_typed_and_not_repeated(client: Page, shop: Shop) -> None:
    shop.refuse(400, "FILTER_INVALID", X_Request_Id="r1", Retry_After="1")
    failure = call(client, FAILURE % "shop.search(photo)", jpeg(9, 9))
    assert failure == {
        "typed": True,
        "name": "LookalikeError",
        "message": "It is FILTER_INVALID.",
        "reason": "FILTER_INVALID",
        "status": 400,
        "requestId": "r1",
        "metadata": {"limit": "3"},
        "retryAfter": 1,
    }
    assert len(shop.sent) == 1


def test_an_answer_of_a_proxy_is_an_error_like_others(client: Page, shop: Shop) -> None:
    shop.answers.append((502, {}, "Bad gateway"))
    failure = call(client, FAILURE % "shop.index()")
    assert (failure["typed"], failure["reason"], failure["status"]) == (True, "UNKNOWN", 502)
    assert failure["message"] == "The shop answered with error 502."


def test_no_answer_is_an_error_like_others(client: Page) -> None:
    failure = call(client, FAILURE % "shop.index()", base=f"http://127.0.0.1:{free_port()}")
    assert (failure["typed"], failure["reason"], failure["status"]) == (True, "UNREACHABLE", 0)


def test_a_wait_can_be_given_up(client: Page, shop: Shop) -> None:
    shop.refuse(429, "QUEUE_FULL", Retry_After="20")
    code = """
      const stop = new AbortController();
      const asked = shop.search(photo, { signal: stop.signal });
      setTimeout(() => stop.abort(), 300);
      try { await asked; } catch (error) { return error === stop.signal.reason; }
    """
    assert call(client, code, jpeg(9, 9)) is True
    assert len(shop.sent) == 1


def test_a_call_that_is_given_up_before_it_began_sends_nothing(client: Page, shop: Shop) -> None:
    code = "try { await shop.search(photo, { signal: AbortSignal.abort() }); } catch { return 1; }"
    assert call(client, code, jpeg(9, 9)) == 1
    assert shop.sent == []


# -- pages


def test_pages_follow_one_another_with_one_photo_and_the_same_fields(
    client: Page, shop: Shop
) -> None:
    for token in ("second", "third", ""):
        shop.answers.append((200, {}, {"nextPageToken": token}))
    code = """
      const tokens = [];
      for await (const page of shop.search(photo, { pageSize: 2 })) tokens.push(page.nextPageToken);
      return tokens;
    """
    assert call(client, code, jpeg(1000, 1000)) == ["second", "third", ""]
    assert [sent.form.get("pageToken") for sent in shop.sent] == [None, [b"second"], [b"third"]]
    assert {sent.form["pageSize"][0] for sent in shop.sent} == {b"2"}
    assert len({sent.photo for sent in shop.sent}) == 1


# -- the function itself


def test_a_page_of_another_origin_imports_it_and_goes_through_all_products(
    client: Page, shop: Shop, tiny_release: TinyRelease, tmp_path: Path
) -> None:
    code = """
      const names = [];
      for await (const page of shop.search(photo, { pageSize: 4 })) {
        names.push(...page.productSearchResults.results.map(({ product }) => product.name));
      }
      const { name } = await shop.product(names[0]);
      const { counts } = await shop.index();
      return [names, name, counts.products];
    """
    with run_function(
        tmp_path / "log.txt", root=str(tiny_release.root), cors_origins=shop.url
    ) as running:
        module = f"{running.url}/web/lookalike.js"
        names, first, products = call(client, code, jpeg(900, 900), module=module)
    assert len(set(names)) == products == PRODUCTS
    assert first == names[0]
    assert shop.sent == []


def test_what_the_function_refuses_is_typed(
    browser: Browser, running_function: RunningFunction
) -> None:
    # The rules of the function's pages forbid what `call` does.
    page = browser.new_page(bypass_csp=True)
    page.goto(f"{running_function.url}/branding.json")
    failure = call(page, FAILURE % 'shop.search(photo, { filter: "color" })', jpeg(9, 9))
    assert (failure["reason"], failure["status"]) == ("FILTER_INVALID", 400)
    assert re.fullmatch("[0-9a-f]{32}", failure["requestId"])
    assert failure["metadata"]["field"] == "filter"
    page.close()


# -- the types


def test_the_types_name_what_the_module_has(client: Page) -> None:
    code = """
      const methods = Object.getOwnPropertyNames(Lookalike.prototype);
      return [Object.keys(await import("/web/lookalike.js")), methods];
    """
    exported, methods = call(client, code)
    types = (WEB / "lookalike.d.ts").read_text()
    assert set(re.findall(r"^export class (\w+)", types, re.MULTILINE)) == set(exported)
    _, _, client = types.partition("export class Lookalike {")
    assert re.findall(r"^  (\w+)\(", client, re.MULTILINE) == methods


def test_the_types_are_the_documents_and_the_clients_own() -> None:
    types = (WEB / "lookalike.d.ts").read_text()
    (imported,) = re.findall(r"^import type \{(.*?)\} from", types, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\w+", imported)) <= document()["components"]["schemas"].keys()
    own = set(re.findall(r"^export (?:type|class) (\w+)", types, re.MULTILINE))
    assert not own & document()["components"]["schemas"].keys()
