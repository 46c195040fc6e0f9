"""Many problems of a catalogue, told at once."""

from collections.abc import Sequence

from trainer.errors import CatalogError

SHOWN_PROBLEMS = 10


def refuse(location: str, problems: Sequence[str], advice: str = "") -> None:
    """Raise CatalogError that lists the first problems and counts the rest; return if none.

    Args:
        location: the file or folder that has them.
        problems: one line each, most as "row 7: what was expected and found".
        advice: what to do, where it is the same for all of them.
    """
    if not problems:
        return
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    lines = [f"{location}: {count}", *(f"  {problem}" for problem in problems[:SHOWN_PROBLEMS])]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  … and {len(problems) - SHOWN_PROBLEMS} more")
    if advice:
        lines.append(advice)
    raise CatalogError("\n".join(lines))
