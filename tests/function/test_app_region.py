"""A part of a photo is searched, over HTTP."""

import json
from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.answers import results
from tests.releases import draw_photo
from tests.server import RunningFunction


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    output = BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def side_by_side() -> Image.Image:
    """Product 1 on the left, product 4 on the right, each 400 by 300."""
    image = Image.new("RGB", (800, 300))
    for place, product in enumerate((1, 4)):
        image.paste(draw_photo(product, 2), (400 * place, 0))
    return image


BOTH = encoded(side_by_side())
LEFT = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
RIGHT = [(0.5, 0), (1, 0), (1, 1)]


def polygon(points: list[tuple[float, float]], name: str = "normalizedVertices") -> str:
    return json.dumps({name: [{"x": x, "y": y} for x, y in points]})


@pytest.mark.parametrize(("points", "product"), [(LEFT, 1), (RIGHT, 4)])
def test_a_region_finds_what_the_region_alone_would_find(
    running_function: RunningFunction, points: list[tuple[float, float]], product: int
) -> None:
    alone = results(running_function.search(encoded(draw_photo(product, 2))))
    assert results(running_function.search(BOTH)) != alone
    assert results(running_function.search(BOTH, boundingPoly=polygon(points))) == alone
    pixels = polygon([(800 * x, 300 * y) for x, y in points], "vertices")
    assert results(running_function.search(BOTH, boundingPoly=pixels)) == alone
    content = {"content": b64encode(BOTH).decode()}
    body = {"image": content, "boundingPoly": json.loads(pixels)}
    assert results(running_function.search_json(body)) == alone


def test_vertices_are_those_of_the_upright_photo(running_function: RunningFunction) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(side_by_side().transpose(Image.Transpose.ROTATE_90), exif=exif)
    for points in (LEFT, RIGHT):
        answer = running_function.search(turned, boundingPoly=polygon(points))
        assert results(answer) == results(
            running_function.search(BOTH, boundingPoly=polygon(points))
        )


def test_a_token_goes_with_its_region(running_function: RunningFunction) -> None:
    first = running_function.search(BOTH, pageSize=2, boundingPoly=polygon(LEFT))
    token = first.json()["nextPageToken"]
    second = running_function.search(BOTH, pageToken=token, boundingPoly=polygon(LEFT))
    names = [result["product"]["name"] for result in results(first) + results(second)]
    assert sorted(names) == [f"products/p{number}" for number in range(6)]
    for other in ({}, {"boundingPoly": polygon(RIGHT)}):
        answer = running_function.search(BOTH, pageToken=token, **other)
        (info,) = answer.json()["error"]["details"]
        assert (answer.status, info["reason"]) == (400, "PAGE_TOKEN_INVALID")
    # As the same pixels are the same query.
    whole = polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    token = running_function.search(BOTH, pageSize=2).json()["nextPageToken"]
    assert results(running_function.search(BOTH, pageToken=token, boundingPoly=whole))


@pytest.mark.parametrize(
    "text",
    [
        polygon([(0.2, 0.2), (0.2, 0.8), (0.2, 0.5)]),
        polygon([(1.5, 0), (2, 0), (2, 1)]),
        polygon([(0, 0), (1, 1)]),
        '{"normalizedVertices": [{"x": NaN}, {"x": 1}, {"y": 1}]}',
        '{"vertices": [{"x": 1e999}, {"x": 1}, {"y": 1}]}',
        "nonsense",
    ],
)
def test_what_is_no_region_of_the_photo_is_refused(
    running_function: RunningFunction, text: str
) -> None:
    answer = running_function.search(BOTH, boundingPoly=text)
    error = answer.json()["error"]
    (info,) = error["details"]
    assert (answer.status, info["reason"]) == (400, "POLYGON_INVALID")
    assert info["metadata"] == {"field": "boundingPoly"}
    assert error["message"].startswith("boundingPoly")
