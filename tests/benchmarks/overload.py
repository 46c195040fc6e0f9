"""More and more clients at once: answers a second must not fall past their peak.

    python -m tests.benchmarks.overload [--root ROOT] [--running N] [--waiting N] [--pause SECONDS]
        [--turns N]

Clients post different photos of 1024×768 as fast as they are answered, and one that is refused
tries again when it is told to; with `--pause 0.1` ten times sooner, with `--pause 0` at once, the
worst that clients can do. They share the machine with the server, and how much of it they take is
told. Limit of the same run: an answer should take no longer than all who may compute and wait with
it, (running + waiting) ÷ answers a second.
"""

import argparse
import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import median

from function.settings import Settings
from tests.benchmarks.footprint import processor_seconds
from tests.benchmarks.http_load import PATH, connect, encode
from tests.benchmarks.serving import ours, running
from tests.benchmarks.shop import open_shop, shop_root
from tests.benchmarks.timing import Row, Timing, report

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
PHOTOS = 64
# gunicorn ends a connection that rests so long, perhaps just when it is used again.
SERVER_KEEPS_SECONDS = 2.0


def flood(
    port: int,
    process: int,
    photos: Sequence[bytes],
    clients: int,
    seconds: float,
    pause: float | None,
) -> Row:
    """Post without a rest; RuntimeError for any answer but 200 and 429.

    Args:
        port, process: of the server.
        photos, clients, seconds: what, from how many at once, how long.
        pause: seconds after a refusal; None: as many as `Retry-After` says.
    """
    start = time.perf_counter()
    end = start + seconds

    def client(first: int) -> tuple[list[float], int]:
        """Seconds of each answer that came before the end, and how many refusals did."""
        connection = connect(port)
        answered, refused = [], 0
        for number in count(first * len(photos) // clients):
            asked = time.perf_counter()
            body, headers = encode(photos[number % len(photos)])
            connection.request("POST", PATH, body, headers)
            response = connection.getresponse()
            response.read()
            now = time.perf_counter()
            if response.status not in (http.HTTPStatus.OK, http.HTTPStatus.TOO_MANY_REQUESTS):
                raise RuntimeError(f"expected 200 or 429; found {response.status}")
            if now > end:
                break
            if response.status == http.HTTPStatus.OK:
                answered.append(now - asked)
                continue
            refused += 1
            rest = float(response.headers["Retry-After"]) if pause is None else pause
            # Who would come too late is not waited for.
            if now + rest > end:
                break
            if rest >= SERVER_KEEPS_SECONDS:
                connection.close()
            time.sleep(rest)
        connection.close()
        return answered, refused

    with ThreadPoolExecutor(clients) as pool:
        ours_before, theirs_before = processor_seconds(process), time.process_time()
        posting = [pool.submit(client, number) for number in range(clients)]
        time.sleep(max(0.0, end - time.perf_counter()))
        ours_taken = processor_seconds(process) - ours_before
        theirs_taken = time.process_time() - theirs_before
        found = [one.result() for one in posting]
    answered = [spent for some, _ in found for spent in some]
    refused = sum(some for _, some in found)
    timing = Timing.of(answered)
    return {
        "clients": clients,
        "answers/s": len(answered) / seconds,
        "p50 ms": timing.p50,
        "p95 ms": timing.p95,
        "p99 ms": timing.p99,
        "p99 ÷ p50": timing.p99 / timing.p50,
        "429, share": refused / (refused + len(answered)),
        "429/s": refused / seconds,
        "the server's processors": ours_taken / seconds,
        "the clients'": theirs_taken / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each number of clients")
    parser.add_argument("--turns", type=int, default=3, help="of all; each figure is the median")
    parser.add_argument("--running", help="searches that compute at once; else the default")
    parser.add_argument("--waiting", help="searches that wait; else the default")
    parser.add_argument("--root", default="", help="a release's; else the benchmarks' own shop")
    parser.add_argument("--pause", type=float, help="seconds after a refusal; else as it says")
    arguments = parser.parse_args()
    shop = open_shop()
    photos = shop.query_photos((1024, 768), PHOTOS)
    server = ours(arguments.root or str(shop_root()), shop.folder / "cache", threads=max(CLIENTS))
    for name in ("running", "waiting"):
        if (value := getattr(arguments, name)) is not None:
            server.environment[f"LOOKALIKE_MAX_{name.upper()}"] = value
    settings = Settings.from_environment(server.environment)
    with running(server, photos[0]) as (port, process, _):
        flood(port, process, photos, 4, 1.0, 0.0)
        turns = [
            [
                flood(port, process, photos, clients, arguments.seconds, arguments.pause)
                for clients in CLIENTS
            ]
            for _ in range(arguments.turns)
        ]
    medians = [
        {name: median(float(row[name] or 0) for row in of_all) for name in of_all[0]}
        for of_all in zip(*turns, strict=True)
    ]
    places = settings.running_searches + settings.max_waiting
    peak = max(row["answers/s"] for row in medians)
    rows: list[Row] = [
        {
            **row,
            "of the peak": row["answers/s"] / peak,
            "limit ms": 1e3 * min(row["clients"], places) / row["answers/s"],
        }
        for row in medians
    ]
    report("overload", "searches of 1024×768 JPEGs by clients that never rest", rows)


if __name__ == "__main__":
    main()
