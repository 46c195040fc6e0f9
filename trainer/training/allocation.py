"""Memory that a step frees stays with the process for the next step."""

import ctypes
import sys
from importlib.util import find_spec

# From glibc's malloc.h.
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; whether it could be told.

    XLA's CPU backend takes a step's working memory anew at each step. By default glibc gets it from
    the kernel every time, which maps and clears it page by page: a seventh of a ResNet-50's step.
    One arena, since only the main one grows without limit. For training on the CPU: where a chip's
    plugin is installed nothing is changed. Best called before other threads have begun; the
    process's memory then never shrinks.
    """
    chips = ("jax_cuda13_plugin", "jax_cuda12_plugin", "libtpu")
    if sys.platform != "linux" or any(find_spec(plugin) for plugin in chips):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(TRIM_THRESHOLD, -1), mallopt(MMAP_MAX, 0), mallopt(ARENA_MAX, 1)])
