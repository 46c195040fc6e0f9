"""How the benchmarks time a call, and how they tell what they found."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "benchmarks"

Row = dict[str, str | int | float | None]


@dataclass(frozen=True)
class Timing:
    """What a call takes, in milliseconds."""

    p50: float
    p95: float
    p99: float
    best: float
    runs: int

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Timing":
        """Summarise measured calls."""
        ms = 1000 * np.array(list(seconds))
        return cls(*np.percentile(ms, (50, 95, 99)).tolist(), float(ms.min()), ms.size)


def time_calls(
    *calls: Callable[[], object], seconds: float = 2.0, warm_up: int = 2
) -> list[Timing]:
    """Time some calls in turn, A B A B, so that a busy machine is unfair to none of them.

    Args:
        calls: what to time; each waits for its own result.
        seconds: how long to measure each; every call is timed at least three times.
        warm_up: calls before, for compilers and caches.
    """
    for call in calls:
        for _ in range(warm_up):
            call()
    taken: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds * len(calls)
    while len(taken[0]) < 3 or time.perf_counter() < end:
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [Timing.of(times) for times in taken]


def report(name: str, title: str, rows: list[Row]) -> None:
    """Print the rows as a table and write them, with the machine, to .cache/benchmarks/NAME.json.

    Args:
        name: the benchmark's module.
        title: what was measured, with its unit.
        rows: the same keys in each; `None` shows as a dash.
    """
    table = Table(title=title, title_justify="left")
    for number, key in enumerate(rows[0]):
        table.add_column(key, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    Console(width=140).print(table)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    content = {"title": title, "machine": machine(), "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, str | int | float]:
    """What the figures depend on: times from a busy machine are not worth comparing."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _shown(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else value
