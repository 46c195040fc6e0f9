"""What the C library keeps of freed memory, where it is glibc; elsewhere nothing is done."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2


def share_arenas() -> None:
    """Let threads share two heaps, instead of keeping what was freed each in one of its own.

    To be called before threads start: what they have is left to them.
    """
    _set(_M_ARENA_MAX, _ARENAS)


def keep_freed_memory(size_bytes: int) -> None:
    """Keep so much of what is freed, for who does the same again and again: the system gives
    memory out in pages of zeros, and to get those anew took a seventh of a photo's decoding."""
    _set(_M_TRIM_THRESHOLD, size_bytes)
    _set(_M_MMAP_THRESHOLD, size_bytes)


def return_freed_memory() -> None:
    """Give to the system what was freed, as the copies that loading a release leaves behind."""
    if sys.platform == "linux":
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if malloc_trim is not None:
            malloc_trim(ctypes.c_size_t(0))


def _set(parameter: int, value: int) -> None:
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(parameter, value)
