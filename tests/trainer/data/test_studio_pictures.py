"""The studio's pictures: deterministic, in the frame, and as different as their products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.studio import contact_sheet, make_product, photograph
from trainer.data.studio.distance import curve, hollow, length, solid, sphere, turned
from trainer.data.studio.product import FAMILIES, LINE_LENGTH
from trainer.data.studio.render import render, silhouette
from trainer.data.studio.scene import CATALOG_PHOTOS, make_scene
from trainer.data.studio.surface import MATERIALS, PATTERNS

SIZE = 48
# Mean and standard deviation of seed 0's photos (product, photo) at 48 px: processors differ in
# the last bits of float32 and a pixel on an edge may flip, so these hold within a tolerance.
REFERENCE = {
    (0, 0): (198.85, 52.87),
    (1, 1): (173.68, 44.07),
    (2, 3): (107.72, 39.10),
    (5, 1): (130.21, 31.47),
    (8, 0): (190.88, 52.53),
    (10, 4): (146.46, 28.80),
}


@pytest.mark.parametrize(("product", "photo"), REFERENCE)
def test_photos_are_those_of_every_other_machine(product: int, photo: int) -> None:
    pixels = photograph(0, product, photo, SIZE)
    assert (pixels.mean(), pixels.std()) == pytest.approx(REFERENCE[product, photo], abs=0.5)


def test_a_photo_does_not_depend_on_what_was_rendered_before() -> None:
    alone = photograph(5, 7, 3, SIZE)
    for product, photo in ((7, 0), (19, 3), (0, 1)):
        photograph(5, product, photo, SIZE)
    np.testing.assert_array_equal(photograph(5, 7, 3, SIZE), alone)


def test_seed_product_and_photo_each_change_the_picture() -> None:
    first = photograph(0, 0, 1, SIZE).astype(int)
    for other in ((1, 0, 1), (0, 1, 1), (0, 0, 3)):
        assert np.abs(photograph(*other, SIZE).astype(int) - first).mean() > 5


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(0, 600), st.integers(0, 40))
def test_the_object_fills_a_fair_part_of_the_frame_and_is_never_cut(
    seed: int, product: int, photo: int
) -> None:
    seen = silhouette(make_product(seed, product), make_scene(seed, product, photo), SIZE)
    assert 0.08 <= seen.mean() <= 0.70
    border = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
    assert not border.any()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_shows_its_shape(family: str) -> None:
    number = list(FAMILIES).index(family)
    product = make_product(0, number)
    assert product.family == family
    seen = silhouette(product, make_scene(0, number, 0), SIZE)
    # Neither a speck nor the whole bounding box: an object with an outline of its own.
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    box = seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert 0.25 < box.mean() < 0.97


def siblings(seed: int, relation: str) -> tuple[int, int]:
    """The first two products of one line that differ only in `relation`."""
    for first in range(600):
        if first // len(FAMILIES) % LINE_LENGTH:
            continue
        a, b = make_product(seed, first), make_product(seed, first + len(FAMILIES))
        same_shape, same_pattern = a.traits == b.traits, a.look.pattern == b.look.pattern
        found = {
            "colour": same_shape and same_pattern and a.look.colour != b.look.colour,
            "pattern": same_shape and not same_pattern,
            "shape": a.look == b.look and not same_shape,
        }
        if found[relation]:
            return first, first + len(FAMILIES)
    raise AssertionError(f"no siblings by {relation}")


@pytest.mark.parametrize("relation", ["colour", "pattern", "shape"])
def test_siblings_are_near_yet_can_be_told_apart(relation: str) -> None:
    a, b = siblings(3, relation)
    scene = make_scene(3, a, 0)
    one, other = (render(make_product(3, p), scene, SIZE).astype(int) for p in (a, b))
    # In the very same scene, at least a hundredth of the frame changes visibly.
    assert (np.abs(one - other).max(axis=2) > 40).mean() > 0.01
    assert make_product(3, a).family == make_product(3, b).family
    assert make_product(3, a) != make_product(3, b)


def test_a_shop_has_every_family_and_no_product_twice() -> None:
    shop = [make_product(0, number) for number in range(300)]
    assert {product.family for product in shop} == set(FAMILIES)
    assert len({(p.family, p.traits, p.look) for p in shop}) == len(shop)
    related = sum(shop[i].look == shop[i + len(FAMILIES)].look for i in range(200))
    assert related > 0


def test_titles_read_like_a_shop() -> None:
    for number in range(60):
        product = make_product(0, number)
        assert product.title[0].isupper()
        assert FAMILIES[product.family].noun in product.title
        assert product.look.colour in product.title
        assert product.price > 0


def test_families_are_made_of_known_materials_and_patterns() -> None:
    for family in FAMILIES.values():
        assert set(family.materials) <= set(MATERIALS)
        assert set(family.accents) <= {*MATERIALS, "same"}
        assert set(family.patterns) <= set(PATTERNS)


def test_catalogue_photos_have_a_plain_bright_background_and_others_do_not() -> None:
    def corners(photo: int) -> np.ndarray:
        pixels = [photograph(0, p, photo, SIZE) for p in range(12)]
        return np.stack([np.concatenate([p[:4, :4], p[:4, -4:]]) for p in pixels]).astype(float)

    shop, customers = corners(CATALOG_PHOTOS[0]), corners(1)
    assert shop.min() > 180
    assert shop.std() < 12
    assert customers.std() > 30


def test_a_turned_sphere_has_the_distances_of_a_sphere() -> None:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 181)
    outline = np.stack([np.cos(angle), 1 + np.sin(angle)], axis=1).astype(np.float32)
    ball = turned(solid(outline))
    p = np.random.default_rng(0).uniform(-1.1, 1.1, (3, 500)).astype(np.float32)
    p[1] += 1
    exact = sphere(p, (0.0, 1.0, 0.0), 1.0)
    inside_grid = exact < 0.1
    np.testing.assert_allclose(ball(p)[inside_grid], exact[inside_grid], atol=0.02)
    # Further away it may fall short, never exceed: a ray must not jump through the surface.
    assert (ball(p) <= exact + 0.02).all()


def test_a_hollow_vessel_is_empty_inside_and_solid_in_its_wall() -> None:
    cup = turned(hollow(curve((0.5, 0.0), (0.5, 0.5), (0.5, 1.0)), wall=0.1))
    p = np.array([[0.0, 0.45, 0.0, 0.7], [0.5, 0.5, 0.05, 0.5], [0.0] * 4], np.float32)
    air, wall, floor, outside = cup(p)
    assert air > 0.2
    assert wall < -0.02
    assert floor < -0.02
    assert 0.1 < outside < 0.21


def test_lengths_are_euclidean() -> None:
    three, four = np.array([3.0], np.float32), np.array([4.0], np.float32)
    assert length(three, four) == pytest.approx(5.0)


def test_a_contact_sheet_has_a_column_for_each_product() -> None:
    sheet = contact_sheet(rows=2, columns=3, image_size=32, gap=4)
    assert sheet.size == (3 * 36 - 4, 2 * 36 - 4)
    cell = np.asarray(sheet)[36 : 36 + 32, 72 : 72 + 32]
    np.testing.assert_array_equal(cell, photograph(0, 2, 1, 32))
