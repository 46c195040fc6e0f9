"""A region's pixels are those of the whole photo, cut out; and what is no region is refused."""

from io import BytesIO
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from function import photo
from function.errors import BadRequest
from function.photo import decode, load_pixels, resize_to_square
from function.region import Region, parse_region

# What the camera stored is the upright picture, turned back.
TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width: int, height: int, seed: int) -> Image.Image:
    """Soft shadows and a little grain: no two places look alike."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
    return Image.blend(smooth, grain, 0.05)


def encoded(image: Image.Image, kind: str, orientation: int = 1, **options: object) -> bytes:
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
        image = image.transpose(TURNED_BACK[orientation])
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rectangle(left: float, top: float, right: float, bottom: float) -> Region:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    vertices = [{"x": x, "y": y} for x, y in corners]
    return parse_region({"normalizedVertices": vertices})


def naive(data: bytes, size: int, region: Region) -> np.ndarray:
    """Decode all of it, cut, resize."""
    whole = decode(data)
    return resize_to_square(whole.crop(region.box(*whole.size)), size)


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("sides", [(60, 61), (120, 121), (241, 240), (700, 701), (640, 480)])
def test_a_photo_whose_sides_the_scale_does_not_divide_keeps_its_proportions(
    sides: tuple[int, int], size: int
) -> None:
    data = encoded(scene(*sides, 0), "JPEG")
    whole = rectangle(0, 0, 1, 1)
    expected = naive(data, size, whole)
    for found in (load_pixels(data, size), load_pixels(data, size, region=whole)):
        assert np.abs(found.astype(int) - expected).mean() < 0.8


FRACTIONS = st.floats(0, 1)
EDGES = st.tuples(FRACTIONS, FRACTIONS).filter(lambda ends: abs(ends[0] - ends[1]) > 0.05)


@settings(max_examples=100)
@given(
    width=st.integers(60, 700),
    height=st.integers(60, 700),
    seed=st.integers(0, 20),
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    orientation=st.integers(1, 8),
    across=EDGES,
    down=EDGES,
    size=st.integers(8, 96),
)
def test_a_region_is_what_naive_cropping_shows(
    width: int,
    height: int,
    seed: int,
    kind: str,
    orientation: int,
    across: tuple[float, float],
    down: tuple[float, float],
    size: int,
) -> None:
    data = encoded(scene(width, height, seed), kind, orientation)
    region = rectangle(min(across), min(down), max(across), max(down))
    found = load_pixels(data, size, region=region).astype(int)
    expected = naive(data, size, region)
    difference = np.abs(found - expected).mean()
    # Of 255: a JPEG that is decoded smaller is averaged by its decoder.
    assert difference < 1.5


@settings(max_examples=50)
@given(
    kind=st.sampled_from(["JPEG", "PNG"]),
    orientation=st.integers(1, 8),
    left=st.integers(0, 300),
    top=st.integers(0, 200),
    width=st.integers(1, 100),
    height=st.integers(1, 100),
)
def test_at_full_scale_it_is_that_bit_for_bit(
    kind: str, orientation: int, left: int, top: int, width: int, height: int
) -> None:
    data = encoded(scene(400, 300, 0), kind, orientation)
    region = Region(left, top, left + width, top + height, normalized=False)
    expected = naive(data, 64, region)
    np.testing.assert_array_equal(load_pixels(data, 64, region=region), expected)


@settings(max_examples=40)
@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    kind=st.sampled_from(["JPEG", "PNG", "GIF"]),
    orientation=st.integers(1, 8),
    beyond=st.floats(0, 1e300),
)
def test_a_region_that_covers_the_photo_is_the_photo(
    width: int, height: int, kind: str, orientation: int, beyond: float
) -> None:
    data = encoded(scene(width, height, 1), kind, orientation)
    whole = load_pixels(data, 32)
    for region in (
        rectangle(-beyond, -beyond, 1 + beyond, 1 + beyond),
        Region(-beyond, 0, max(width, height) + beyond, max(width, height), normalized=False),
    ):
        assert load_pixels(data, 32, region=region).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("share", "factor"), [(1, 8), (0.75, 4), (0.5, 4), (0.25, 2), (0.1, 1), (0.02, 1)]
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_decoded_as_small_as_the_region_allows(
    share: float, factor: int, orientation: int
) -> None:
    data = encoded(scene(1600, 1200, 2), "JPEG", orientation)
    region = rectangle(0, 0, share, share)
    decoded: list[tuple[int, int]] = []

    def watched(image: Image.Image, *args: object) -> object:
        decoded.append(image.size)
        return _cut(image, *args)

    _cut = photo._cut
    with mock.patch.object(photo, "_cut", watched):
        load_pixels(data, 140, region=region)
    assert decoded == [tuple(side // factor for side in Image.open(BytesIO(data)).size)]


def test_colours_of_a_region_are_those_of_the_whole() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    clear = scene(200, 100, 3)
    clear.putalpha(Image.linear_gradient("L").resize((200, 100)))
    photos = [
        encoded(clear, "PNG"),
        encoded(scene(200, 100, 3).convert("P"), "GIF", transparency=3),
        encoded(scene(200, 100, 3).convert("CMYK"), "JPEG"),
        encoded(scene(200, 100, 3), "PNG", icc_profile=profile),
        encoded(scene(200, 100, 3).convert("L").convert("I;16"), "PNG"),
    ]
    region = rectangle(0.25, 0.1, 0.75, 0.9)
    for data in photos:
        np.testing.assert_array_equal(load_pixels(data, 64, region=region), naive(data, 64, region))


# -- reading


def points(*pairs: tuple[object, object]) -> list[dict[str, object]]:
    return [{"x": x, "y": y} for x, y in pairs]


def test_a_polygon_becomes_its_bounding_rectangle() -> None:
    found = parse_region({"vertices": points((30, 5), (10, 40), (20.5, 60))})
    assert found == Region(10, 5, 30, 60, normalized=False)
    assert found.box(25, 100) == (10, 5, 25, 60)
    found = parse_region({"normalizedVertices": points((0.5, -1), (0.25, 0.5), (2, 0.5))})
    assert found == Region(0.25, -1, 2, 0.5, normalized=True)
    assert found.box(200, 100) == (50, 0, 200, 50)


def test_a_coordinate_that_is_absent_is_nought() -> None:
    vertices = [{}, {"x": 1}, {"x": 1, "y": 0.5}, {"y": 0.5}]
    assert parse_region({"normalizedVertices": vertices}) == Region(0, 0, 1, 0.5, normalized=True)


TRIANGLE = points((0, 0), (1, 0), (0, 1))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "boundingPoly: expected an object of either normalizedVertices or vertices"),
        ({}, "either normalizedVertices or vertices"),
        ([TRIANGLE], "either normalizedVertices or vertices"),
        ({"vertices": TRIANGLE, "normalizedVertices": TRIANGLE}, "either"),
        ({"vertices": TRIANGLE, "closed": True}, "either"),
        ({"vertices": "0,0,1,1"}, "boundingPoly.vertices: expected a list of 3 to 100 vertices"),
        ({"vertices": []}, "found 0 of them"),
        ({"vertices": TRIANGLE[:2]}, "found 2 of them"),
        ({"vertices": TRIANGLE * 34}, "found 102 of them"),
        ({"vertices": [*TRIANGLE, [1, 1]]}, "boundingPoly.vertices[3]: expected an object"),
        ({"vertices": [{"x": 1, "y": 1, "z": 1}, *TRIANGLE]}, "boundingPoly.vertices[0]"),
        *(
            ({"normalizedVertices": [*TRIANGLE, {"y": value}]}, "[3].y: expected a finite number")
            for value in ("1", None, True, [], float("nan"), float("inf"), -float("inf"), 10**400)
        ),
    ],
)
def test_what_is_no_polygon_is_refused(value: object, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_region(value)
    assert caught.value.reason == "POLYGON_INVALID"
    assert caught.value.metadata == {"field": "boundingPoly"}
    assert says in caught.value.message


@pytest.mark.parametrize(
    "region",
    [
        Region(0.5, 0, 0.5, 1, normalized=True),
        Region(0, 0.2, 1, 0.2, normalized=True),
        Region(1, 0, 2, 1, normalized=True),
        Region(-5, -5, 0, 0, normalized=False),
        Region(400, 0, 500, 300, normalized=False),
        Region(10.1, 0, 10.4, 300, normalized=False),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_region_without_a_pixel_of_the_photo_is_refused(region: Region, kind: str) -> None:
    data = encoded(scene(400, 300, 4), kind, 6)
    with pytest.raises(BadRequest) as caught:
        load_pixels(data, 32, region=region)
    assert caught.value.reason == "POLYGON_INVALID"
    assert "the photo, 400 wide and 300 high; found one that covers none" in caught.value.message


NUMBERS = st.floats() | st.integers()
ANYTHING = st.none() | st.booleans() | NUMBERS | st.text(max_size=3)
VERTICES = st.lists(
    st.dictionaries(st.sampled_from("xy"), NUMBERS) | st.dictionaries(st.text(), ANYTHING),
    max_size=5,
)
POLYGONS = st.dictionaries(
    st.sampled_from(["vertices", "normalizedVertices"]), VERTICES | ANYTHING, max_size=2
)


@given(POLYGONS | ANYTHING, st.integers(1, 5000), st.integers(1, 5000))
def test_any_json_is_a_box_within_the_photo_or_a_refusal(
    value: object, width: int, height: int
) -> None:
    try:
        left, top, right, bottom = parse_region(value).box(width, height)
    except BadRequest as error:
        assert error.reason == "POLYGON_INVALID"  # noqa: PT017 - either outcome is right
    else:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
