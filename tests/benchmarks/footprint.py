"""What a server and its children take of the machine, as Linux's /proc tells."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.processes import children


def memory_mb(process: int, *, apart_from: Path | None = None) -> float:
    """Of a process and its children, each share of what several hold counted once.

    Args:
        process: its number.
        apart_from: whose files' mapped pages are not counted.
    """
    total = 0
    for one in _family(process):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += _share(one) if apart_from is None else _share_apart_from(one, apart_from)
    return total / 1e3


def processor_seconds(process: int) -> float:
    """What a process and its children have computed so far, without those that have ended."""
    ticks = 0
    for one in _family(process):
        with suppress(FileNotFoundError, ProcessLookupError):
            # After the command's name, which may have spaces and parentheses in it.
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(process: int) -> Iterator[int]:
    ids = [process]
    for one in ids:
        # A child may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            ids += children(one)
            yield one


def _share(process: int) -> int:
    """A process's share of all pages that it maps, in kB, as the kernel adds it up.

    To read that of each mapping takes ten times as long, on a processor that the server needs.
    """
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    # One that is ending maps nothing any more.
    return int(rollup.partition("\nPss:")[2].split(maxsplit=1)[0]) if rollup else 0


def _share_apart_from(process: int, folder: Path) -> int:
    """The same without the pages of the files in a folder."""
    return sum(size for path, size in _mappings(process) if not path.is_relative_to(folder))


def _mappings(process: int) -> Iterator[tuple[Path, int]]:
    """What a process maps, and its share of each mapping's pages in kB."""
    path = Path()
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        name, *values = line.split(maxsplit=5)
        if name == "Pss:":
            yield path, int(values[0])
        elif not name.endswith(":"):
            path = Path(values[4] if len(values) > 4 else "")
