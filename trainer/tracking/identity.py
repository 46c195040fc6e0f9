"""Which run of an outside tracker a run is: stored in it, so that a moved run is still the same."""

import json
import re
from collections.abc import Callable
from secrets import token_hex

from function.storage import Conflict, Storage


def kept_id(storage: Storage, name: str, make: Callable[[], str]) -> str:
    """Return the id that the file `name` holds; the first call makes it."""
    if found := storage.read_versioned(name):
        identity: str = json.loads(found[0])["id"]
        return identity
    identity = make()
    try:
        storage.compare_and_set(name, json.dumps({"id": identity}).encode(), None)
    except Conflict:
        return kept_id(storage, name, make)
    return identity


def new_id(url: str) -> str:
    """Return the run's name as people know it, and what tells it from others of that name."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", url.rstrip("/").rpartition("/")[2]).strip("-")[:40]
    return f"{readable or 'run'}-{token_hex(4)}"
