"""The API's parts that the page uses and the function lacks, in their documented shapes.

What the function can do already it does here too: a stand-in cuts photos, counts facets and adds
fields, and the function itself searches. Whoever adds a part to the function deletes it here.
"""

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image
from playwright.sync_api import BrowserContext, Route

from function.catalog import ProductCatalog
from function.filters import Selection, parse_filter
from tests.server import Answer, RunningFunction

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
class StandIn:
    """Answers in the function's place.

    Attributes:
        function: searches.
        catalog: of its release.
        extra: what each answer says beside what the function finds, as noConfidentMatch.
        probability: matchProbability of the best result; the others' fall from it.
        explained: the explanation of every result.
        unexplained: `explanationUnavailable`; "" explains.
        key: the access key that is asked for; "" for none.
        asked: the fields of all searches, without photos; "similar" is the product's id.
        counted: the parameters of all requests for facets.
        explained_products: titles of those whose match was explained.
        events: what was told.
        sizes: width and height of what was searched in, of all photos.
    """

    function: RunningFunction
    catalog: ProductCatalog
    extra: dict[str, Any] = field(default_factory=dict)
    probability: float | None = None
    explained: dict[str, Any] = field(default_factory=lambda: {"photo": GRID, "product": GRID})
    unexplained: str = ""
    key: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    counted: list[dict[str, list[str]]] = field(default_factory=list)
    explained_products: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def attach(self, context: BrowserContext, *, searches: bool = True) -> None:
        """Answer a browser's requests: facets and events, and searches if these are wanted."""
        context.route("**/v1/products?*", self._browse)
        context.route("**/v1/events", self._event)
        context.route("**/v1/products/*:similar", self._similar)
        if searches:
            context.add_init_script(FORM_AS_JSON)
            context.route("**/v1/products:search", self._search)

    def _event(self, route: Route) -> None:
        self.events.append(json.loads(route.request.post_data or ""))
        route.fulfill(status=204)

    def _browse(self, route: Route) -> None:
        parameters = parse_qs(urlsplit(route.request.url).query)
        self.counted.append(parameters)
        selection = Selection(
            where=parse_filter(parameters["filter"][0]) if "filter" in parameters else None,
            categories=frozenset(parameters.get("productCategories", ())),
        )
        facets = [
            {"key": key, "values": [{"value": v, "count": n} for v, n in found.most_common()]}
            for key in parameters["facets"]
            for found in [self._count(key, selection)]
        ]
        route.fulfill(json={"products": [], "nextPageToken": "", "facets": facets})

    def _count(self, key: str, selection: Selection) -> "Counter[str]":
        mask = self.catalog.allowed_rows(selection)
        rows = range(self.catalog.counts.images)
        images = self.catalog.images([row for row in rows if mask is None or mask[row]])
        products = map(self.catalog.product, dict.fromkeys(image.product_id for image in images))
        return Counter(
            value
            for product in products
            for value in (
                [product.category]
                if key == "productCategory"
                else dict.fromkeys(v for k, v in product.labels if k == key)
            )
        )

    def _search(self, route: Route) -> None:
        fields = route.request.post_data_json
        photo = base64.b64decode(fields.pop("image")["content"])
        self.asked.append(dict(fields))
        self._answer(route, self._cut(photo, fields.pop("boundingPoly", None)), fields)

    def _similar(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        product = unquote(path.removeprefix("/v1/products/").removesuffix(":similar"))
        fields = route.request.post_data_json
        self.asked.append({"similar": product, **fields})
        image = next((x for x in self.catalog.images_of(product) if x.sha256), None)
        if image is None:
            fulfill(route, self.function.get("/v1/products/none"))
            return
        photo = self.function.get(f"/v1/images/{image.sha256}").body
        self._answer(route, photo, {**fields, "excludeProductIds": [product]})

    def _cut(self, photo: bytes, polygon: dict[str, Any] | None) -> bytes:
        try:
            image = Image.open(BytesIO(photo))
        except OSError:
            return photo
        if polygon:
            corners = polygon["normalizedVertices"]
            across = [round(corner["x"] * image.width) for corner in corners]
            down = [round(corner["y"] * image.height) for corner in corners]
            image = image.crop((min(across), min(down), max(across), max(down)))
        self.sizes.append(image.size)
        file = BytesIO()
        image.convert("RGB").save(file, "PNG")
        return file.getvalue()

    def _answer(self, route: Route, photo: bytes, fields: dict[str, Any]) -> None:
        if self.key and route.request.headers.get("x-api-key") != self.key:
            error = {"code": 401, "status": "UNAUTHENTICATED", "message": "Send a key."}
            route.fulfill(status=401, json={"error": error})
            return
        explain = fields.pop("explain", False)
        image = {"content": base64.b64encode(photo).decode()}
        answer = self.function.search_json({**fields, "image": image})
        if answer.status != 200:
            fulfill(route, answer)
            return
        content = {**answer.json(), **self.extra}
        for place, result in enumerate(content["productSearchResults"]["results"]):
            if self.probability is not None:
                result["matchProbability"] = self.probability / (1 + place)
            if explain and not self.unexplained:
                self.explained_products.append(result["product"]["displayName"])
                result["explanation"] = self.explained
        if explain and self.unexplained:
            content["explanationUnavailable"] = self.unexplained
        route.fulfill(json=content)


def fulfill(route: Route, answer: Answer) -> None:
    """Hand the function's answer over."""
    route.fulfill(status=answer.status, body=answer.body, content_type="application/json")
