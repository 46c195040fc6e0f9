"""Changes are drawn as far as the ranges say, and from the seed and the photo's place alone."""

import numpy as np
import pytest

from trainer.data.augmentation import Augmentation, Changes, draw_changes

RANGES = Augmentation(
    scale=(0.2, 0.9),
    ratio=(0.5, 2.0),
    flip=0.3,
    brightness=0.4,
    contrast=0.3,
    saturation=0.2,
    hue=0.1,
)
STILL = Augmentation(
    scale=(1.0, 1.0),
    ratio=(1.0, 1.0),
    flip=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue=0.0,
)


def draw(augmentation: Augmentation = RANGES, photos: int = 8, **place: int) -> Changes:
    return draw_changes(augmentation, photos, **{"seed": 1, "step": 5, **place})


def same(first: Changes, second: Changes) -> bool:
    return first.crops == second.crops and np.array_equal(first.colour, second.colour)


def columns(changes: Changes) -> np.ndarray:
    """All nine numbers of each photo, each brought to 0…1 by its range, float64 [photos, 9]."""
    crops = np.array([(c.area, np.log2(c.ratio), c.x, c.y) for c in changes.crops])
    low = np.array([0.2, -1, 0, 0, 0.6, 0.7, 0.8, -0.1])
    high = np.array([0.9, 1, 1, 1, 1.4, 1.3, 1.2, 0.1])
    numbers = np.concatenate([crops, changes.colour], axis=1)
    mirrored = np.array([[c.mirrored] for c in changes.crops])
    return np.concatenate([(numbers - low) / (high - low), mirrored], axis=1)


def test_the_same_place_gives_the_same_changes_and_another_gives_others() -> None:
    first = draw()
    assert same(first, draw())
    assert not same(first, draw(seed=2))
    assert not same(first, draw(step=6))
    assert len(set(first.crops)) == len(np.unique(first.colour, axis=0)) == 8


def test_a_photos_changes_do_not_depend_on_how_many_follow() -> None:
    few, many = draw(photos=3), draw(photos=50)
    assert few.crops == many.crops[:3]
    assert np.array_equal(few.colour, many.colour[:3])


def test_every_number_fills_its_range_evenly_and_goes_no_further() -> None:
    shares = columns(draw(photos=4000))
    assert shares[:, :8].min() > -1e-6
    assert shares[:, :8].max() < 1 + 1e-6
    for share in shares[:, :8].T:
        counts, _ = np.histogram(share, bins=10, range=(0, 1))
        # Ten bins of 400: five standard deviations of a binomial.
        assert np.abs(counts - 400).max() < 95
    assert shares[:, 8].mean() == pytest.approx(0.3, abs=0.04)


def test_no_two_numbers_follow_each_other_within_a_photo_or_between_places() -> None:
    here, later = columns(draw(photos=4000)), columns(draw(photos=4000, step=6))
    both = np.corrcoef(np.concatenate([here, later], axis=1).T)
    neighbours = np.corrcoef(np.concatenate([here[1:], here[:-1]], axis=1).T)
    limit = 5 / np.sqrt(4000)
    assert np.abs(both - np.eye(18)).max() < limit
    assert np.abs(neighbours - np.eye(18)).max() < limit


def test_without_strength_nothing_changes() -> None:
    changes = draw(STILL)
    assert np.array_equal(changes.colour, np.tile(np.float32([1, 1, 1, 0]), (8, 1)))
    assert {crop.box(30, 30) for crop in changes.crops} == {(0, 0, 30, 30)}
    assert not any(crop.mirrored for crop in changes.crops)
