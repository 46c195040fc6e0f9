"""A release's name: when it was made, to the millisecond, and eight digits of what it holds."""

from datetime import UTC, datetime

# Of the hashes that name models, indices and programs.
ID_DIGITS = 12

_SECONDS = "%Y%m%dT%H%M%S"


def new_release_id(created: datetime, content: str) -> str:
    """Name a release: names sort by time, and equal ones mean equal bytes.

    Args:
        created: in UTC.
        content: a hash of all that it holds, in hexadecimal.
    """
    return f"{created:{_SECONDS}}.{created.microsecond // 1000:03}Z-{content[:8]}"


def made_at(release_id: str) -> datetime | None:
    """Return when a release of this name was made; None where the name does not tell.

    That is before its upload began.
    """
    seconds = release_id.partition(".")[0].removesuffix("Z")
    try:
        return datetime.strptime(seconds, _SECONDS).replace(tzinfo=UTC)
    except ValueError:
        return None
