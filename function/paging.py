"""Page tokens: where the next page begins, bound to the index and to the query.

    token = base64url( place | index | query | check )

`index` and `query` are digests of what the token was given for, and `check` is one of all that
stands before it: a token that was cut or altered is told from one that is merely old. There is no
secret in it; whoever makes one up reaches no more than by turning the pages.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from .errors import BadRequest

# Together with the place a multiple of three, so that every token is one spelling of its bytes.
_INDEX_BYTES, _QUERY_BYTES, _CHECK_BYTES = 8, 16, 8
_BODY = struct.Struct(f">I{_INDEX_BYTES}s{_QUERY_BYTES}s")


@dataclass(frozen=True)
class Pages:
    """The pages of one query to one index.

    Attributes:
        index_id: of the index, as the manifest has it.
        query: a digest; see `pages_of`.
    """

    index_id: str
    query: bytes

    def token(self, place: int) -> str:
        """Return the token of the page that begins at a place, 0 to 4,294,967,295."""
        body = _BODY.pack(place, self._index, self.query)
        return base64.urlsafe_b64encode(body + _digest(body, _CHECK_BYTES)).decode()

    def place(self, token: str) -> int:
        """Return where the page begins that a token stands for; 0 for the token "".

        Raises:
            BadRequest: it is no token, or one of another index or query.
        """
        if not token:
            return 0
        place, index, query = _BODY.unpack(_checked(token))
        if index != self._index:
            raise BadRequest(
                f"pageToken: expected a token of the index that is served now, {self.index_id}; "
                "found one of another, which this one has replaced. Search again without it.",
                reason="PAGE_TOKEN_EXPIRED",
                metadata={"field": "pageToken", "indexVersion": self.index_id},
            )
        if query != self.query:
            raise _invalid(
                "a token of this query: the same photo or product and fields, pageSize aside",
                "one of another query",
            )
        return int(place)

    @property
    def _index(self) -> bytes:
        return _digest(self.index_id.encode(), _INDEX_BYTES)


def pages_of(
    index_id: str, looked_for: NDArray[np.uint8] | str, fields: tuple[object, ...]
) -> Pages:
    """Return the pages of a query: what is looked for, and what else is asked.

    Args:
        index_id: of the index, as the manifest has it.
        looked_for: a photo, as the network sees it; or text, which tells the query from others.
        fields: of plain values; equal ones have equal `repr`.
    """
    is_text = isinstance(looked_for, str)
    what = repr(looked_for).encode() if is_text else np.ascontiguousarray(looked_for)
    # Processors have instructions for it: of a photo it takes half of the time of others.
    digest = sha256(what)
    digest.update(repr(fields).encode())
    return Pages(index_id, digest.digest()[:_QUERY_BYTES])


def _checked(token: str) -> bytes:
    try:
        data = base64.b64decode(token.encode("ascii"), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        data = b""
    body, check = data[: _BODY.size], data[_BODY.size :]
    if len(body) < _BODY.size or check != _digest(body, _CHECK_BYTES):
        raise _invalid("what an answer gave as nextPageToken", "something else")
    return body


def _digest(data: bytes, size: int) -> bytes:
    return sha256(data).digest()[:size]


def _invalid(expected: str, found: str) -> BadRequest:
    return BadRequest(
        f"pageToken: expected {expected}; found {found}.",
        reason="PAGE_TOKEN_INVALID",
        metadata={"field": "pageToken"},
    )
