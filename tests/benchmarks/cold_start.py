"""What a cold start consists of: its stages, up to the first answer, and its imports.

    python -m tests.benchmarks.cold_start [--starts 5]

The function as it is deployed, over the shop's release on the local disk. The stages are those that
it tells at /metrics; they overlap, for files are read, the program compiled and the index opened
side by side. Imports are each package's own time, what it imports itself left out, in a start that
Python traces (`-X importtime`) and that takes the longer for it.
"""

import argparse
import re
import tempfile
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.benchmarks.serving import Server, ours, running
from tests.benchmarks.shop import open_shop, shop_root
from tests.benchmarks.timing import Row, report

PACKAGES = 12
_STAGE = re.compile(r'^lookalike_loading_seconds\{stage="([^"]+)"\} (\S+)$', re.M)
# Own time in µs, all of it, and the module.
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", re.M)


def stages(server: Server, photo: bytes) -> dict[str, float]:
    """Of one start: seconds of each stage, and from the process's start to the first answer."""
    with (
        running(server, photo) as (port, _, answered),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response,
    ):
        metrics = response.read().decode()
    told = {f"loading: {name}": float(value) for name, value in _STAGE.findall(metrics)}
    return {**told, "start to first answer": answered}


def imports(server: Server, photo: bytes, scratch: Path) -> Counter[str]:
    """Seconds that each package takes to import, by its own modules."""
    log = scratch / "imports"
    traced = {**server.environment, "PYTHONPROFILEIMPORTTIME": "1"}
    with log.open("w") as told, running(replace(server, environment=traced), photo, told):
        pass
    found: Counter[str] = Counter()
    for own, module in _IMPORT.findall(log.read_text()):
        found[module.partition(".")[0]] += int(own) / 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=5, help="of which the medians are told")
    arguments = parser.parse_args()
    shop = open_shop()
    (photo,) = shop.query_photos((1024, 768), 1)
    server = ours(str(shop_root()), shop.folder / "cache")
    starts = [stages(server, photo) for _ in range(arguments.starts)]
    report(
        "cold-start",
        f"A cold start, seconds, medians of {arguments.starts}; stages overlap",
        [{"stage": name, "s": median(start[name] for start in starts)} for name in starts[0]],
    )
    with tempfile.TemporaryDirectory() as scratch:
        found = imports(server, photo, Path(scratch))
    rest = sum(found.values()) - sum(own for _, own in found.most_common(PACKAGES))
    rows: list[Row] = [{"package": name, "s": own} for name, own in found.most_common(PACKAGES)]
    rows += [{"package": "all others", "s": rest}, {"package": "all", "s": sum(found.values())}]
    report("cold-start-imports", "Imports of a cold start, each package's own seconds", rows)


if __name__ == "__main__":
    main()
