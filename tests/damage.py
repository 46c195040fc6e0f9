"""Files that something went wrong with, for property tests."""

from collections.abc import Sequence

from hypothesis import strategies as st


def damaged(files: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the files with some bytes changed, perhaps cut off, perhaps with bytes after it."""
    place, value = st.floats(0, 1, exclude_max=True), st.integers(0, 255)
    return st.builds(
        _damage,
        st.sampled_from(files),
        changes=st.lists(st.tuples(place, value), max_size=8),
        kept=st.just(1.0) | st.floats(0, 1),
        tail=st.binary(max_size=32),
    )


def _damage(file: bytes, changes: list[tuple[float, int]], kept: float, tail: bytes) -> bytes:
    data = bytearray(file)
    for place, value in changes:
        data[int(place * len(data))] = value
    return bytes(data[: int(kept * len(data))]) + tail
