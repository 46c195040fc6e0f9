"""The function while its database is away, silent, or back: an answer in time, whichever it is."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.answers import PHOTO, assert_refused
from tests.postgres import PostgresServer, run_postgres
from tests.releases import TinyRelease
from tests.server import Answer, RunningFunction, run_function
from tests.tables import move_into_tables
from tests.waiting import eventually

DEADLINE_SECONDS = 3.0
# What a request may take that is bounded by the deadline, on a machine that does other things too.
BOUND_SECONDS = 20.0
NEVER_TOLD = "not-to-be-told"


@dataclass(frozen=True)
class Shop:
    """A function, and a database of its own."""

    running: RunningFunction
    database: PostgresServer

    def asked(self) -> list[Answer]:
        """A search and what reads the catalogue, each answered in time."""
        answers = []
        for ask in (
            lambda: self.running.search(PHOTO),
            lambda: self.running.get("/v1/products"),
            lambda: self.running.get("/v1/products/p1"),
            lambda: self.running.get("/v1/index"),
        ):
            begun = time.monotonic()
            answers.append(ask())
            assert time.monotonic() - begun < BOUND_SECONDS
        return answers

    def answers(self) -> bool:
        return all(answer.status == 200 for answer in self.asked())


@pytest.fixture(scope="module")
def shop(tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("outage")
    with run_postgres() as database:
        with database.connect() as connection:
            connection.execute("CREATE EXTENSION vector")
        root = folder / "root"
        move_into_tables(database.url(), tiny_release.root, tiny_release.release_id, root)
        address = database.url().replace("postgres@", f"postgres:{NEVER_TOLD}@")
        with run_function(
            folder / "log.txt",
            root=str(root),
            database=address,
            deadline_seconds=str(DEADLINE_SECONDS),
        ) as running:
            running.wait_until_ready()
            yield Shop(running, database)


def tells_nothing(shop: Shop, texts: list[str]) -> None:
    for text in (*texts, shop.running.log.read_text()):
        assert NEVER_TOLD not in text
        assert str(shop.database.port) not in text
        assert "postgresql://" not in text


def test_a_database_that_is_away_is_said_so_and_asked_again_when_it_is_back(shop: Shop) -> None:
    for end in (shop.database.stop, shop.database.kill):
        assert shop.answers()
        end()
        # While connections die, and when there are none.
        told = shop.asked() + shop.asked()
        for answer in told:
            assert_refused(answer, 503, "DATABASE_UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) > 0
        assert shop.running.get("/health/live").status == 200
        tells_nothing(shop, [answer.body.decode() for answer in told])
        shop.database.start()
        eventually(shop.answers)


@pytest.mark.slow
def test_a_database_that_says_nothing_costs_no_more_than_the_deadline(shop: Shop) -> None:
    eventually(shop.answers)
    processes = [shop.database.pid, *shop.database.children()]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        for answer in shop.asked():
            assert answer.status in (503, 504)
            assert answer.json()["error"]["details"][0]["reason"] in (
                "DEADLINE_EXCEEDED",
                "DATABASE_UNAVAILABLE",
            )
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    eventually(shop.answers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "expected the database's address in LOOKALIKE_DATABASE; found nothing there"),
        ("postgresql://[", "The database's address: expected postgresql://"),
        ("postgresql://postgres@127.0.0.1:{port}/template1", "tables are not in the database"),
    ],
)
def test_a_release_whose_tables_cannot_be_had_is_not_served(
    shop: Shop, tmp_path: Path, address: str, why: str
) -> None:
    (root,) = shop.running.log.parent.glob("root")
    with run_function(
        tmp_path / "log.txt",
        root=str(root),
        database=address.format(port=shop.database.port),
    ) as running:

        def told() -> bool:
            return any(why in str(line["message"]) for line in running.log_lines())

        eventually(lambda: running.search(PHOTO).status == 503 and told())
        assert_refused(running.search(PHOTO), 503, "NO_VALID_RELEASE")
