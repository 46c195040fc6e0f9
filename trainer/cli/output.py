"""How commands print: results on stdout, for people or as JSON; all else on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON to stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def readable(value: object) -> str:
    """A result for people: one line for each item of a mapping, thousands separated."""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {readable(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
