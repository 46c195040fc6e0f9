"""The OpenAPI document says what the code does: each part is compared with what it describes."""

import ast
import base64
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import function
from function.admission import Admission
from function.app import _ROUTES
from function.decoding import Decoders
from function.errors import BadRequest, FunctionError
from function.fields import FIELDS
from function.metrics import Metrics
from function.openapi.document import document
from function.openapi.errors import REASONS
from function.openapi.fields import FIELDS as FIELD_SCHEMAS
from function.openapi.typescript import declarations
from function.photo import DEFAULT_LIMITS
from function.routes.context import Context
from function.settings import Settings
from function.worker import Worker
from tests.releases import PRODUCTS, draw_photo
from tests.server import RunningFunction

FUNCTION = Path(function.__file__).parent
DOCUMENT = document()
COMPONENTS = DOCUMENT["components"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# The demo page's own, which no program asks for.
PAGE = {"/", "/web/{}", "/branding.json"}
# Of what never becomes an answer: nobody reads it, each use names another reason, only publishing
# meets it.
UNSEEN_REASONS = {"CLIENT_LEFT", "NOT_FOUND", "PERMISSION_DENIED", "STORAGE_CONFLICT"}

LETTERS = st.characters(exclude_categories=["Cs"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 110)
    | st.integers()
    | st.sampled_from([1.0, 100.0, 100.5, -1.0, 1.0000001])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(LETTERS, max_size=20)
    | st.integers(1020, 1030).map("x".__mul__)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=8), inner)
    ),
    max_leaves=6,
)
VALUES |= st.sampled_from([["a"] * size for size in (19, 20, 21, 99, 100, 101, 999, 1000, 1001)])
VALUES |= st.dictionaries(
    st.sampled_from(["vertices", "normalizedVertices"]),
    st.lists(st.dictionaries(st.sampled_from(["x", "y"]), SCALARS) | SCALARS, max_size=4)
    | st.integers(0, 101).map([{"x": 1.5}].__mul__),
    max_size=2,
)


def photo() -> bytes:
    output = BytesIO()
    draw_photo(1, 2).save(output, "JPEG")
    return output.getvalue()


def parts_of(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a JSON value, itself included."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from parts_of(item)


def closed(value: Any) -> Any:
    """The same schemas, by which no object may have members that are not described."""
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {name: closed(item) for name, item in value.items()}
    if isinstance(value.get("properties"), dict) and value.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


def assert_described(answer: Any, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": closed(COMPONENTS)}
    jsonschema_rs.validator_for(schema).validate(answer)


def served() -> dict[tuple[str, str], bool]:
    """Whether a route answers without an access key, by its path and method."""
    admission = Admission(running=1, waiting=1)
    context = Context(
        Settings(),
        Worker(lambda: None, wait_seconds=0),
        admission,
        Metrics(admission),
        Decoders(DEFAULT_LIMITS, None),
    )
    return {
        (path, method.lower()): rule.endpoint.is_open
        for routes in _ROUTES
        for rule in routes(context).rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if (path := re.sub("<.*?>", "{}", rule.rule)) not in PAGE
    }


OPERATIONS = {
    (re.sub("{.*?}", "{}", path), method): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_all_routes_but_the_pages_are_described_and_no_others() -> None:
    assert OPERATIONS.keys() == served().keys()


def test_a_key_is_asked_for_where_the_description_says_so() -> None:
    routes = served()
    assert {key: operation.get("security") == [] for key, operation in OPERATIONS.items()} == routes
    assert {key: "401" not in x["responses"] for key, x in OPERATIONS.items()} == routes


def test_all_fields_are_described_and_no_others() -> None:
    assert FIELD_SCHEMAS.keys() == FIELDS.keys()


def takes(name: str, value: object) -> bool:
    try:
        return FIELDS[name].parse(value) is not None
    except BadRequest:
        return False


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_takes_what_its_schema_allows_and_nothing_else(name: str) -> None:
    schema = jsonschema_rs.validator_for({**FIELD_SCHEMAS[name], "components": COMPONENTS})

    @settings(max_examples=300)
    @given(VALUES)
    def compare(value: object) -> None:
        assert takes(name, value) == schema.is_valid(value)

    compare()


def test_every_reason_is_described_and_no_others() -> None:
    raised = set()
    for file in FUNCTION.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "reason":
                value: Any = node.value
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets) == "default_reason":
                value = node.value
            else:
                continue
            if isinstance(value, ast.Constant):
                raised.add(value.value)
    described = [reason for reasons in REASONS.values() for reason in reasons]
    assert len(described) == len(set(described))
    assert set(described) == raised - UNSEEN_REASONS


def test_every_class_of_errors_is_described_but_that_which_nobody_reads() -> None:
    kinds = {kind.http_status for kind in (FunctionError, *FunctionError.__subclasses__())}
    assert {kind.http_status for kind in REASONS} == kinds - {499}


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for name, schema in COMPONENTS["schemas"].items():
        assert jsonschema_rs.meta.is_valid({**schema, "$schema": DIALECT}), name
    referred = {part["$ref"] for part in parts_of(DOCUMENT) if "$ref" in part}
    defined = {
        f"#/components/{kind}/{name}"
        for kind, parts in COMPONENTS.items()
        if kind != "securitySchemes"  # referred to by their names
        for name in parts
    }
    # METHOD_NOT_ALLOWED is what other methods than the described ones get.
    assert defined - referred == {"#/components/responses/MethodNotAllowed"}
    assert referred <= defined


def test_the_types_are_those_of_the_document() -> None:
    types = (FUNCTION / "web" / "wire.d.ts").read_text()
    assert types == declarations(), "run `make types`"


def test_the_document_is_served_as_it_is(running_function: RunningFunction) -> None:
    answer = running_function.get("/openapi.json")
    assert answer.json() == DOCUMENT
    again = running_function.get("/openapi.json", **{"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


def test_the_example_search_finds_products(running_function: RunningFunction) -> None:
    (example,) = COMPONENTS["schemas"]["SearchRequest"]["examples"]
    Image.open(BytesIO(base64.b64decode(example["image"]["content"]))).load()
    answer = running_function.search_json(example)
    assert answer.status == 200
    assert len(answer.json()["productSearchResults"]["results"]) == example["pageSize"]


@pytest.mark.parametrize(
    ("path", "asked", "answer"),
    [
        ("/v1/images:annotate", "AnnotateRequest", "AnnotateAnswer"),
        ("/v1/events", "Event", None),
    ],
)
def test_other_examples_are_taken(
    running_function: RunningFunction, path: str, asked: str, answer: str | None
) -> None:
    (example,) = COMPONENTS["schemas"][asked]["examples"]
    headers = {"Content-Type": "application/json"}
    taken = running_function.request("POST", path, json.dumps(example), headers)
    assert taken.status == (200 if answer else 204), taken.body
    if answer:
        assert_described(taken.json(), answer)
        assert "error" not in taken.json()["responses"][0]


def test_answers_hold_what_is_described_and_nothing_else(running_function: RunningFunction) -> None:
    search = running_function.search(photo(), pageSize=2, imagesPerProduct=2).json()
    assert_described(search, "SearchAnswer")
    product = search["productSearchResults"]["results"][0]["product"]["name"]
    assert_described(running_function.get(f"/v1/{product}").json(), "ProductDetail")
    assert_described(running_function.get("/v1/products?facets=shape").json(), "ProductPage")
    assert_described(running_function.get("/v1/index").json(), "Index")
    assert_described(running_function.get("/health/live").json(), "Health")
    assert_described(running_function.get("/health/ready").json(), "Health")
    explained = running_function.search(photo(), explain="true", pageSize=2, facets="shape")
    assert_described(explained.json(), "SearchAnswer")
    for path in ("/v1/products/none", "/nowhere", "/v1/products:search"):
        assert_described(running_function.get(path).json(), "ErrorAnswer")
    assert_described(running_function.search(b"no photo").json(), "ErrorAnswer")


def test_a_whole_number_may_be_written_with_a_point(running_function: RunningFunction) -> None:
    content = base64.b64encode(photo()).decode()
    body = json.dumps({"image": {"content": content}, "pageSize": 2}).replace(" 2}", " 2.0}")
    assert '"pageSize": 2.0' in body
    answer = running_function.search_json(body.encode())
    assert len(answer.json()["productSearchResults"]["results"]) == 2 < PRODUCTS
