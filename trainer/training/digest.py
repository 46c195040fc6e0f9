"""What tells whether a checkpoint's arrays are those that were saved."""

import hashlib
from typing import Any

import jax
import numpy as np


def digest(arrays: Any) -> str:
    """Return the SHA-256 of a tree of arrays: of their names, types, shapes and bits.

    Args:
        arrays: a tree whose arrays are whole in this process.

    Returns:
        The same for equal trees alone, in hexadecimal digits.
    """
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
        array = np.ascontiguousarray(jax.device_get(leaf))
        found.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        found.update(array.reshape(-1).view(np.uint8))
    return found.hexdigest()
