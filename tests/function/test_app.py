"""The whole function, over HTTP, under the real functions-framework."""

import base64
import json
import struct
import time
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from function.release import IMAGES
from tests.answers import PHOTO, assert_refused, picture, results
from tests.releases import TinyRelease, draw_photo
from tests.server import RunningFunction

ORIGIN = "https://shop.example"
SECRET = "12 Privet Drive"  # noqa: S105 - what must not be logged


# -- searching


def test_a_photo_finds_products(running_function: RunningFunction) -> None:
    answer = running_function.search(PHOTO, pageSize=3)
    found = results(answer)
    body = answer.json()
    assert body.keys() == {
        "productSearchResults",
        "nextPageToken",
        "modelVersion",
        "indexVersion",
        "requestId",
        "timingsMs",
        "coldStart",
    }
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert {"decode", "embed", "search"} <= body["timingsMs"].keys()
    assert body["coldStart"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(found) == 3
    names = [result["product"]["name"] for result in found]
    assert len(set(names)) == 3
    assert all(name.startswith("products/") for name in names)
    scores = [result["score"] for result in found]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1.001 for score in scores)
    for result in found:
        assert result["image"].startswith(f"{result['product']['name']}/referenceImages/")
        assert result["imageUrl"].startswith("http")
        assert result["thumbnailUrl"].startswith("http")


def test_json_and_multipart_get_the_same_answer(running_function: RunningFunction) -> None:
    content = base64.b64encode(PHOTO).decode()
    from_json = running_function.search_json({"image": {"content": content}, "pageSize": 4})
    assert results(from_json) == results(running_function.search(PHOTO, pageSize=4))


def test_a_photo_in_another_orientation_finds_the_same(running_function: RunningFunction) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright, turned = BytesIO(), BytesIO()
    image = draw_photo(1, 2)
    image.save(upright, "PNG")
    image.rotate(90, expand=True).save(turned, "PNG", exif=exif)
    one, other = (results(running_function.search(x.getvalue())) for x in (upright, turned))
    assert [r["product"] for r in one] == [r["product"] for r in other]
    assert [r["score"] for r in one] == pytest.approx([r["score"] for r in other], abs=0.005)


def test_options_narrow_the_answer(running_function: RunningFunction) -> None:
    found = results(running_function.search(PHOTO, pageSize=5))
    best = found[0]["product"]["name"]
    others = results(running_function.search(PHOTO, pageSize=4, excludeProductIds=[best]))
    many = [f"no-such-{number}" for number in range(999)]
    assert (
        results(running_function.search(PHOTO, pageSize=4, excludeProductIds=[best, *many]))
        == others
    )
    assert [r["product"] for r in others] == [r["product"] for r in found[1:]]
    threshold = found[1]["score"] - 1e-6
    kept = results(running_function.search(PHOTO, pageSize=5, scoreThreshold=threshold))
    assert [r["product"] for r in kept] == [r["product"] for r in found[:2]]
    (first, *_) = results(running_function.search(PHOTO, imagesPerProduct=2))
    assert len(first["images"]) == 2
    assert first["images"][0]["image"] == first["image"]


def test_a_found_product_and_its_photos_can_be_fetched(running_function: RunningFunction) -> None:
    (first,) = results(running_function.search(PHOTO, pageSize=1))
    answer = running_function.get(f"/v1/{first['product']['name']}")
    product = answer.json()
    assert {**first["product"], "images": product["images"]} == product
    assert first["image"] in [image["image"] for image in product["images"]]
    assert_revalidates(running_function, f"/v1/{first['product']['name']}")


def test_stored_photos_are_given_out_for_ever(
    running_function: RunningFunction, tiny_release: TinyRelease
) -> None:
    stored = next((tiny_release.root / IMAGES).glob("*.jpg"))
    path = f"/v1/images/{stored.stem}"
    answer = running_function.get(path)
    assert (answer.status, answer.body) == (200, stored.read_bytes())
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "immutable" in answer.headers["Cache-Control"]
    assert_revalidates(running_function, path)


def test_addresses_follow_the_scheme_that_the_caller_used(
    running_function: RunningFunction,
) -> None:
    answer = running_function.search(PHOTO, {"X-Forwarded-Proto": "https", "Host": "api.example"})
    stored = [r["imageUrl"] for r in results(answer) if "/v1/images/" in r["imageUrl"]]
    assert all(url.startswith("https://api.example/v1/images/") for url in stored)


def test_the_index_describes_itself(running_function: RunningFunction) -> None:
    index = running_function.get("/v1/index").json()
    assert index["counts"]["products"] > 0
    assert index["index"]["kind"] in ("exact", "scann")
    search = running_function.search(PHOTO).json()
    assert index["modelVersion"] == search["modelVersion"]
    assert index["indexVersion"] == search["indexVersion"]
    assert index["indexTime"] == search["productSearchResults"]["indexTime"]
    assert "_" not in json.dumps(list(index["evaluation"]))
    assert_revalidates(running_function, "/v1/index")


# -- the page


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/web/main.js", "text/javascript; charset=utf-8"),
        ("/web/lookalike.d.ts", "text/plain; charset=utf-8"),
        ("/web/styles.css", "text/css; charset=utf-8"),
        ("/web/icon.svg", "image/svg+xml; charset=utf-8"),
        ("/branding.json", "application/json"),
    ],
)
def test_the_page_is_served(running_function: RunningFunction, path: str, kind: str) -> None:
    answer = running_function.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert_revalidates(running_function, path)


def assert_revalidates(running_function: RunningFunction, path: str) -> None:
    first = running_function.get(path)
    again = running_function.get(path, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    head = running_function.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(first.body))


# -- refusing


def bomb() -> bytes:
    """A PNG of 100 megapixels and some 600 KB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    side = 10_000
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    text = b"Comment\x00" + b"x" * (600_000 - len(rows))
    chunks = [(b"IHDR", header), (b"tEXt", text), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def test_text_renamed_jpg_is_no_image_type(running_function: RunningFunction) -> None:
    answer = running_function.search(b"It was a dark and stormy night.")
    assert_refused(answer, 415, "IMAGE_TYPE_UNSUPPORTED")


def test_a_bomb_of_100_megapixels_is_refused_unopened(running_function: RunningFunction) -> None:
    data = bomb()
    assert 550_000 < len(data) < 650_000
    start = time.monotonic()
    error = assert_refused(running_function.search(data), 400, "IMAGE_TOO_MANY_PIXELS")
    assert time.monotonic() - start < 1
    assert error["message"] == "The image has 100 megapixels; the limit is 50."
    assert error["details"][0]["metadata"] == {"limit": "50000000"}


def test_a_truncated_photo_is_unreadable(running_function: RunningFunction) -> None:
    assert_refused(running_function.search(PHOTO[:500]), 400, "IMAGE_UNREADABLE")


def test_an_empty_body_says_so(running_function: RunningFunction) -> None:
    answer = running_function.request("POST", "/v1/products:search", b"")
    assert_refused(answer, 400, "REQUEST_EMPTY")
    assert_refused(running_function.search(b""), 400, "IMAGE_EMPTY")


@pytest.mark.parametrize("path", ["/v1/products:search", "/nowhere"])
def test_40_megabytes_are_too_many(running_function: RunningFunction, path: str) -> None:
    answer = running_function.request("POST", path, bytes(40_000_000))
    assert_refused(answer, 413, "PAYLOAD_TOO_LARGE")


def test_a_photo_over_the_limit_is_told_the_limit(running_function: RunningFunction) -> None:
    error = assert_refused(running_function.search(bytes(21_000_000)), 413, "IMAGE_TOO_MANY_BYTES")
    assert error["details"][0]["metadata"] == {"limit": "20000000"}


@pytest.mark.parametrize("megabytes", [0, 40])
def test_a_chunked_body_needs_a_length(running_function: RunningFunction, megabytes: int) -> None:
    body = (bytes(1_000_000) for _ in range(megabytes))
    headers = {"Transfer-Encoding": "chunked"}
    answer = running_function.request("POST", "/v1/products:search", body, headers, chunked=True)
    assert_refused(answer, 411, "LENGTH_REQUIRED")
    assert running_function.get("/health/live").status == 200


def test_a_source_outside_the_allow_list_is_not_read(running_function: RunningFunction) -> None:
    for uri in ("gs://elsewhere/photo.jpg", "file:///etc/passwd", "http://169.254.169.254/"):
        answer = running_function.search_json({"image": {"source": {"imageUri": uri}}})
        assert_refused(answer, 400, "IMAGE_SOURCE_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("method", "path", "status", "reason", "allow"),
    [
        ("GET", "/nowhere", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/v1//index", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/favicon.ico", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/robots.txt", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/web/../main.py", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/web/%2e%2e/main.py", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/web//etc/passwd", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/web/", 404, "ROUTE_NOT_FOUND", None),
        ("OPTIONS", "/nowhere", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/v1/products/no such", 404, "PRODUCT_NOT_FOUND", None),
        ("GET", "/v1/images/" + "0" * 64, 404, "IMAGE_NOT_FOUND", None),
        ("GET", "/v1/images/..%2fcurrent", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/v1/images/current", 404, "IMAGE_NOT_FOUND", None),
        ("GET", "/v1/products:search", 405, "METHOD_NOT_ALLOWED", "OPTIONS, POST"),
        ("PUT", "/v1/products/p0:similar", 405, "METHOD_NOT_ALLOWED", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/v1/products/no/such:similars", 404, "PRODUCT_NOT_FOUND", None),
        ("DELETE", "/v1/index", 405, "METHOD_NOT_ALLOWED", "GET, HEAD, OPTIONS"),
        ("PUT", "/", 405, "METHOD_NOT_ALLOWED", "GET, HEAD, OPTIONS"),
        ("BREW", "/v1/index", 405, "METHOD_NOT_ALLOWED", "GET, HEAD, OPTIONS"),
    ],
)
def test_wrong_routes_and_methods(
    running_function: RunningFunction,
    method: str,
    path: str,
    status: int,
    reason: str,
    allow: str | None,
) -> None:
    answer = running_function.request(method, path.replace(" ", "%20"))
    assert_refused(answer, status, reason)
    assert answer.headers["Allow"] == allow


def test_cors_holds_on_answers_errors_and_preflights(running_function: RunningFunction) -> None:
    for path in ("/v1/index", "/nowhere", "/favicon.ico"):
        answer = running_function.get(path, Origin=ORIGIN)
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-Id, Retry-After"
        foreign = running_function.get(path, Origin="https://evil.example")
        assert foreign.headers["Access-Control-Allow-Origin"] is None
    preflight = running_function.request(
        "OPTIONS",
        "/v1/products:search",
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert int(preflight.headers["Access-Control-Max-Age"]) >= 600


def test_one_log_line_a_request_without_a_word_of_the_photo(
    running_function: RunningFunction,
) -> None:
    exif = Image.Exif()
    exif[0x010E] = SECRET
    answer = running_function.search(picture(exif=exif), {"X-Request-Id": "photo-with-exif"})
    assert SECRET.encode() not in answer.body
    lines = [x for x in running_function.log_lines() if x.get("requestId") == "photo-with-exif"]
    (line,) = lines
    assert line["httpRequest"]["status"] == 200
    assert {"decode", "embed", "search"} <= line["timingsMs"].keys()
    text = running_function.log.read_text()
    assert SECRET not in text
    assert "photo.jpg" not in text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "image": st.fixed_dictionaries({}, optional={"content": VALUES, "source": VALUES}) | VALUES,
        "pageSize": VALUES,
        "scoreThreshold": VALUES,
        "imagesPerProduct": VALUES,
        "excludeProductIds": VALUES,
        "anything": VALUES,
    },
)


@settings(max_examples=100)
@given(st.one_of(BODIES.map(json.dumps).map(str.encode), st.binary(max_size=200)))
def test_no_body_gets_an_internal_error_or_html(
    running_function: RunningFunction, body: bytes
) -> None:
    answer = running_function.search_json(body)
    assert answer.status in (400, 413, 415)
    assert answer.json()["error"]["code"] == answer.status
