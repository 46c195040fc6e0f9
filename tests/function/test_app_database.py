"""A function whose rows lie in PostgreSQL answers as one that holds them, and survives its loss."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.postgres import PostgresServer
from tests.releases import TinyRelease, draw_photo
from tests.server import RunningFunction, run_function
from tests.tables import move_into_tables

# Half precision beside float32, in a score.
ROUNDING = 1e-3


@pytest.fixture(scope="module")
def root(
    tiny_release: TinyRelease, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny release, whose rows lie in the database."""
    root = tmp_path_factory.mktemp("tables") / "root"
    move_into_tables(module_database_url, tiny_release.root, tiny_release.release_id, root)
    return root


@pytest.fixture(scope="module")
def in_tables(
    root: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    log = tmp_path_factory.mktemp("function") / "log.txt"
    with run_function(log, root=str(root), database=module_database_url) as running:
        running.wait_until_ready()
        yield running


def told(answer: Any) -> Any:
    """An answer without what differs from call to call, or by the index's kind; scores rounded."""
    ours = {"requestId", "timingsMs", "coldStart", "nextPageToken", "index"}
    if isinstance(answer, dict):
        return {key: told(value) for key, value in answer.items() if key not in ours}
    if isinstance(answer, list):
        return [told(value) for value in answer]
    return pytest.approx(answer, abs=ROUNDING) if isinstance(answer, float) else answer


def own(answer: Any, running: RunningFunction) -> Any:
    """An answer, in which the function's own address is left open."""
    return json.loads(answer.body.replace(running.url.encode(), b"http://here"))


SEARCHES: list[dict[str, Any]] = [
    {},
    {"pageSize": 2},
    {"filter": "shape=round"},
    {"filter": 'NOT shape=round AND NOT shape="no such"'},
    {"filter": "shape=none"},
    {"productCategories": "shapes", "productSet": "first", "imagesPerProduct": 3},
    {"excludeProductIds": ["p1", "p2", "nobody"]},
    {"facets": ["shape", "productCategory"]},
    {"facets": "shape", "scoreThreshold": 0.5},
    {"collapseDuplicates": "true", "explain": "true"},
    {"maxObjects": 2},
]


@pytest.mark.parametrize("fields", SEARCHES, ids=str)
def test_a_photo_finds_the_same(
    in_tables: RunningFunction, running_function: RunningFunction, fields: dict[str, Any]
) -> None:
    photo = _jpeg(1)
    answers = [
        own(running.search(photo, **fields), running) for running in (in_tables, running_function)
    ]
    assert answers[0]["productSearchResults"]["results"] or fields.get("filter") == "shape=none"
    assert answers[0] == told(answers[1]) | {
        key: answers[0].get(key)
        for key in ("requestId", "timingsMs", "coldStart", "nextPageToken")
        if key in answers[0]
    }


def _jpeg(product: int) -> bytes:
    from io import BytesIO

    file = BytesIO()
    draw_photo(product, 2).save(file, "JPEG")
    return file.getvalue()


def test_pages_follow_each_other(in_tables: RunningFunction) -> None:
    whole = [_name(each) for each in _results(in_tables.search(_jpeg(3), pageSize=6).json())]
    pages, token = [], ""
    for _ in range(3):
        answer = in_tables.search(_jpeg(3), pageSize=2, pageToken=token).json()
        pages += [_name(each) for each in _results(answer)]
        token = answer["nextPageToken"]
    assert pages == whole
    assert not token
    assert len(set(pages)) == 6


def _results(answer: Any) -> list[Any]:
    results: list[Any] = answer["productSearchResults"]["results"]
    return results


def _name(result: Any) -> str:
    return str(result["product"]["name"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/products?" + urlencode({"pageSize": 4, "facets": "shape"}),
        "/v1/products?" + urlencode({"filter": "shape=square", "facets": "productCategory"}),
        "/v1/products?productSet=first",
        "/v1/products/p0",
        "/v1/products/p3",
        "/v1/products/nobody",
        "/v1/products/a%00b",
        "/v1/index",
    ],
)
def test_the_catalogue_reads_the_same(
    in_tables: RunningFunction, running_function: RunningFunction, path: str
) -> None:
    ours, theirs = in_tables.get(path), running_function.get(path)
    assert ours.status == theirs.status
    found, expected = (own(*pair) for pair in ((ours, in_tables), (theirs, running_function)))
    if path == "/v1/index":
        assert found["index"]["kind"] == "pgvector"
    if "error" in found:
        assert found["error"]["message"] == expected["error"]["message"]
    else:
        assert told(found) == told(expected)


def test_similar_products_are_the_same(
    in_tables: RunningFunction, running_function: RunningFunction
) -> None:
    for body in ({}, {"filter": "shape=round", "pageSize": 2}):
        answers = [
            own(
                running.request(
                    "POST",
                    "/v1/products/p2:similar",
                    json.dumps(body),
                    {"Content-Type": "application/json"},
                ),
                running,
            )
            for running in (in_tables, running_function)
        ]
        names = [[_name(each) for each in _results(answer)] for answer in answers]
        assert names[0] == names[1]
        assert names[0]
        assert "products/p2" not in names[0]


def test_dead_connections_are_replaced_unnoticed(
    in_tables: RunningFunction, postgres: PostgresServer
) -> None:
    for _ in range(3):
        with postgres.connect() as connection:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'lookalike'"
            ).fetchone()
        assert ended is not None
        assert ended[0]
        assert in_tables.search(_jpeg(1)).status == 200
        assert in_tables.get("/v1/products?filter=shape%3Dround").status == 200
