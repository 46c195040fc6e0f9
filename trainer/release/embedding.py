"""What becomes of photos that go through the program that will serve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from function.errors import FunctionError
from function.storage import StorageError
from trainer.data.records import Photo, Source
from trainer.errors import UnreadablePhoto
from trainer.release.copies import Signatures
from trainer.release.images import StoredPhoto

# What embeds the catalogue, and by default the queries.
SERVING_ENGINE = "openvino"


@dataclass(frozen=True)
class EmbeddedCatalog:
    """What became of each photo, in the catalogue's order.

    Attributes:
        vectors: unit rows.
        stored: where the photo was stored; None for one that has a URL.
        signatures: what copies are recognised by; None: no photo is taken for another's copy.
    """

    vectors: Float[np.ndarray, "photos dim"]
    stored: tuple[StoredPhoto | None, ...]
    signatures: Signatures | None = None

    @classmethod
    def joined(cls, parts: "Sequence[EmbeddedCatalog]") -> "EmbeddedCatalog":
        """Put parts together, one or more, one after the other; all with signatures, or none."""
        signatures = [part.signatures for part in parts if part.signatures is not None]
        return cls(
            np.concatenate([part.vectors for part in parts]),
            tuple(where for part in parts for where in part.stored),
            Signatures.joined(signatures) if len(signatures) == len(parts) else None,
        )


def read_photo(source: Source, photo: Photo) -> bytes:
    """Return a photo's bytes; UnreadablePhoto names one that is gone."""
    try:
        return source.read(photo.image)
    except FileNotFoundError as error:
        raise UnreadablePhoto(place(photo), "there is no such file") from error
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
        raise UnreadablePhoto(place(photo), reason) from error


def decoded[R](photo: Photo, work: Callable[[], R]) -> R:
    """Do `work` on a photo; UnreadablePhoto names one that cannot be decoded."""
    try:
        return work()
    except StorageError:
        raise
    except FunctionError as error:
        raise UnreadablePhoto(place(photo), error.message) from error


def place(photo: Photo) -> str:
    """Name a photo for a message."""
    return f"{photo.image} (row {photo.row})" if photo.row else photo.image
