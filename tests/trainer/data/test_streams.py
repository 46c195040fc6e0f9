"""A place's numbers are NumPy's own for its seed, and those of no other place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.streams import Stream, generator

numbers = st.integers(0, 2**40) | st.sampled_from([2**32 - 1, 2**32])


@given(numbers, st.sampled_from(Stream), st.lists(numbers, max_size=2))
def test_a_generator_is_the_one_that_numpy_seeds_with_the_place(
    seed: int, stream: Stream, place: list[int]
) -> None:
    expected = np.random.default_rng((seed, stream, *place)).random(4)
    np.testing.assert_array_equal(generator(seed, stream, *place).random(4), expected)


def test_places_and_streams_differ() -> None:
    places = [(0, stream, step) for stream in Stream for step in (0, 1)] + [(1, Stream(0), 0)]
    assert len({generator(*place).random() for place in places}) == len(places)
