"""What the page asks of the function, noted on its way; the function itself answers.

A test may alter an answer where the tiny release has nothing to say: it is not calibrated.
"""

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image
from playwright.sync_api import BrowserContext, Route

GRID = [[0.02, 0.1, -0.03], [0.05, 0.4, 0.1], [0.0, 0.2, 0.03]]

# Playwright cannot show the files of a form, so the photo travels as JSON, which the API reads too.
FORM_AS_JSON = """
const send = window.fetch;
const read = { pageSize: Number, boundingPoly: JSON.parse, explain: JSON.parse };
window.fetch = async (address, options) => {
  if (!(options?.body instanceof FormData)) return send(address, options);
  const fields = {};
  for (const [name, value] of options.body) {
    if (name === "image") {
      const bytes = new Uint8Array(await value.arrayBuffer());
      const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
      fields.image = { content: btoa(text) };
    } else if (name === "productCategories") {
      (fields[name] ??= []).push(value);
    } else {
      fields[name] = (read[name] ?? String)(value);
    }
  }
  const headers = { ...options.headers, "Content-Type": "application/json" };
  return send(address, { ...options, headers, body: JSON.stringify(fields) });
};
"""


@dataclass
class Witness:
    """Lets requests through, and notes them.

    Attributes:
        extra: what each answer says beside what the function says, as noConfidentMatch.
        probability: matchProbability of the best result; the others' fall from it.
        explained: the explanation of every result, in place of the function's.
        unexplained: `explanationUnavailable`, in place of explanations.
        asked: the fields of all searches, without photos; "similar" is the product's id.
        counted: the parameters of all requests for facets.
        explained_products: titles of those whose match was explained.
        events: what was told.
        sizes: width and height of all photos that were sent.
    """

    extra: dict[str, Any] = field(default_factory=dict)
    probability: float | None = None
    explained: dict[str, Any] = field(default_factory=dict)
    unexplained: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    counted: list[dict[str, list[str]]] = field(default_factory=list)
    explained_products: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def attach(self, context: BrowserContext, *, searches: bool = True) -> None:
        """Stand beside a browser's requests: for facets, events, and photos if these are wanted."""
        context.route("**/v1/products?*", self._browse)
        context.route("**/v1/events", self._event)
        context.route("**/v1/products/*:similar", self._similar)
        if searches:
            context.add_init_script(FORM_AS_JSON)
            context.route("**/v1/products:search", self._search)

    def _event(self, route: Route) -> None:
        self.events.append(json.loads(route.request.post_data or ""))
        route.continue_()

    def _browse(self, route: Route) -> None:
        self.counted.append(parse_qs(urlsplit(route.request.url).query))
        route.continue_()

    def _similar(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        product = unquote(path.removeprefix("/v1/products/").removesuffix(":similar"))
        self.asked.append({"similar": product, **route.request.post_data_json})
        route.continue_()

    def _search(self, route: Route) -> None:
        fields = dict(route.request.post_data_json)
        photo = base64.b64decode(fields.pop("image")["content"])
        with suppress(OSError):
            self.sizes.append(Image.open(BytesIO(photo)).size)
        self.asked.append(fields)
        answer = route.fetch()
        if answer.status != 200:
            route.fulfill(response=answer)
            return
        content = {**answer.json(), **self.extra}
        for place, result in enumerate(content["productSearchResults"]["results"]):
            if self.probability is not None:
                result["matchProbability"] = self.probability / (1 + place)
            if "explanation" in result:
                self._alter(result)
        if fields.get("explain") and self.unexplained:
            content["explanationUnavailable"] = self.unexplained
        route.fulfill(response=answer, json=content)

    def _alter(self, result: dict[str, Any]) -> None:
        if self.unexplained:
            del result["explanation"]
            return
        self.explained_products.append(result["product"]["displayName"])
        if self.explained:
            result["explanation"] = self.explained
