"""What became of a result: a JSON object that a page sends once somebody used it.

requestId    of the search that found it
type         view, click, cart or purchase
productId    which
position     its place among the results, from 1; may be left out
"""

from dataclasses import dataclass
from typing import Any

from .body import known_members, whole_number
from .envelope import REQUEST_ID
from .fields import MAX_ID_CHARACTERS, invalid

MAX_EVENT_BYTES = 16_384
MAX_POSITION = 100_000
TYPES = ("view", "click", "cart", "purchase")
_FIELDS = ("requestId", "type", "productId", "position")


@dataclass(frozen=True)
class Event:
    """One of them.

    Attributes:
        request_id: of the search.
        type: one of TYPES.
        product_id: as in `products/{id}`.
        position: 1 to MAX_POSITION; None where the page does not say.
    """

    request_id: str
    type: str
    product_id: str
    position: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Return it in the API's words."""
        known = (self.request_id, self.type, self.product_id, self.position)
        return {
            name: value for name, value in zip(_FIELDS, known, strict=True) if value is not None
        }


def parse_event(body: dict[str, Any]) -> Event:
    """Read an event; BadRequest names the field, what was expected and what was found."""
    request_id, kind, product_id, place = map(known_members(body, _FIELDS).get, _FIELDS)
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        raise invalid("requestId", "the requestId of a search's answer", request_id)
    if kind not in TYPES:
        raise invalid("type", f"{', '.join(TYPES[:-1])} or {TYPES[-1]}", kind)
    if not isinstance(product_id, str) or not 0 < len(product_id) <= MAX_ID_CHARACTERS:
        raise invalid("productId", f"1 to {MAX_ID_CHARACTERS} characters", product_id)
    position = whole_number(place)
    if place is not None and (position is None or not 1 <= position <= MAX_POSITION):
        raise invalid("position", f"a whole number, 1 to {MAX_POSITION}", place)
    return Event(request_id, kind, product_id.removeprefix("products/"), position)
