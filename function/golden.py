"""The golden photos: what a release's programs must give for them, wherever they run.

golden.npz holds `pixels` uint8 [n, size, size, 3] and float32 unit rows [n, dim]: `vectors`, of the
trained network itself in float32; and `int8_vectors`, in a release with such a program, what that
gave on the publisher's machine.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .embedder import Embedder
from .errors import ReleaseError
from .manifest import GOLDEN

# What a program must reach beside the golden vectors of its own precision. Of 5,103 photos each had
# 0.9993 or more between bfloat16 and float32, of 86 each 0.9999 between int8 on different
# instructions; a program with other weights or another preprocessing does not come near.
GOLDEN_COSINE = 0.999

# What it must reach beside those of the other precision: the catalogue may be embedded by one, and
# a query by the other. How far this moves results is measured when int8 is chosen.
PARITY_COSINE = 0.97


# The arrays, by the precision of the program that must give them.
_ARRAYS = {"float": "vectors", "int8": "int8_vectors"}


def write_golden(
    path: Path, pixels: NDArray[np.uint8], vectors: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write golden.npz: `vectors` by precision, "float" always."""
    named = {_ARRAYS[precision]: rows for precision, rows in vectors.items()}
    np.savez_compressed(path, allow_pickle=False, pixels=pixels, **named)


def check_golden(
    embedder: Embedder, path: Path, pause: Callable[[], None] = lambda: None
) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """Compare what the embedder gives for the golden photos with what it must give.

    Args:
        embedder: the program to try.
        path: golden.npz.
        pause: called before each photo.

    Returns:
        The pixels, and the lowest cosine similarity to the vectors of each precision.

    Raises:
        ReleaseError: a file of another form, or a vector below GOLDEN_COSINE or PARITY_COSINE:
            which, and its cosine.
    """
    pixels, golden = read_golden(path)
    if embedder.precision not in golden:
        raise ReleaseError(
            f"{GOLDEN}: expected vectors of the {embedder.precision} program; found none. "
            "Publish again."
        )
    size, dim = embedder.image_size, embedder.dim
    n = len(pixels)
    for vectors in golden.values():
        if pixels.shape != (n, size, size, 3) or vectors.shape != (n, dim) or n == 0:
            raise ReleaseError(
                f"{GOLDEN}: expected pixels [n, {size}, {size}, 3] and vectors [n, {dim}]; "
                f"found {list(pixels.shape)} and {list(vectors.shape)}."
            )
    # One by one, as queries come.
    rows = []
    for photo in pixels:
        pause()
        rows.append(embedder.embed(photo[None]))
    found = np.concatenate(rows)
    worst = {}
    for precision, vectors in golden.items():
        least = GOLDEN_COSINE if precision == embedder.precision else PARITY_COSINE
        # Of unit vectors this is the cosine; vectors of another length fall short too.
        cosines = 1 - np.square(found - vectors).sum(axis=1) / 2
        # Not `<`: a program that gives NaN must fail too.
        for number in np.flatnonzero(~(cosines >= least)):
            raise ReleaseError(
                f"{GOLDEN}: {precision} vector {number} of {n}: expected a cosine of at least "
                f"{least} between what the {embedder.precision} program gives and what it must "
                f"give; found {cosines[number]:.5f}. "
                "The program and the weights do not belong together: publish again.",
                fault="GOLDEN_MISMATCH",
            )
        worst[precision] = float(cosines.min())
    return pixels, worst


def read_golden(path: Path) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float32]]]:
    """Return the pixels, and the vectors by precision; ReleaseError where there are none."""
    try:
        with np.load(path) as arrays:
            vectors = {key: arrays[name] for key, name in _ARRAYS.items() if name in arrays.files}
            return arrays["pixels"], {"float": arrays[_ARRAYS["float"]]} | vectors
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ReleaseError(f"{GOLDEN}: expected pixels and vectors; it cannot be read.") from error
