"""A function and a publisher while hosts of their database die: what is read, and written."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from function.storage import open_storage
from tests.answers import PHOTO
from tests.postgres import PostgresPair
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from tests.tables import publish_tiny
from tests.waiting import eventually
from trainer.errors import DatabaseError
from trainer.release.database.connection import database_at
from trainer.release.database.release import check_database
from trainer.release.registry.verification import verify_release

CLIENTS = 4
# Answers that each client gets before something happens, and after it at the least.
ANSWERS = 25


class Load:
    """Clients that ask without a pause, and count the answers by their status."""

    def __init__(self, running: RunningFunction) -> None:
        self._running = running
        self._over = Event()
        self._counts: list[Counter[int]] = [Counter() for _ in range(CLIENTS)]

    @property
    def statuses(self) -> Counter[int]:
        return sum((count.copy() for count in self._counts), Counter())

    @contextmanager
    def going_on(self) -> Iterator[None]:
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._ask, count) for count in self._counts]
            try:
                yield
            finally:
                self._over.set()
            for client in clients:
                client.result()

    def wait_for_more(self, answers: int = CLIENTS * ANSWERS) -> None:
        enough = self.statuses.total() + answers
        eventually(lambda: self.statuses.total() >= enough)

    def _ask(self, count: Counter[int]) -> None:
        while not self._over.is_set():
            count[self._running.search(PHOTO, filter="shape=round").status] += 1
            count[self._running.get("/v1/products?pageSize=3").status] += 1


@contextmanager
def serving(root: Path, folder: Path, url: str) -> Iterator[RunningFunction]:
    settings = {"release_check_seconds": "0.2", "max_waiting": "64"}
    with run_function(folder / "log.txt", root=str(root), database=url, **settings) as running:
        running.wait_until_ready()
        yield running


@pytest.mark.slow
def test_while_the_primary_is_dead_reads_go_on_and_a_publication_waits_for_the_promoted_replica(
    tiny_release: TinyRelease, postgres_pair: PostgresPair, tmp_path: Path
) -> None:
    root, url = tmp_path / "root", postgres_pair.url()
    old = publish_tiny(tiny_release, root, url)
    postgres_pair.catch_up()
    with serving(root, tmp_path, url) as running, ThreadPoolExecutor(1) as publisher:
        load = Load(running)
        with load.going_on():
            load.wait_for_more()
            postgres_pair.primary.kill()
            load.wait_for_more()
            with pytest.raises(DatabaseError, match="expected a PostgreSQL that takes writes"):
                check_database(database_at(url))
            publication = publisher.submit(publish_tiny, tiny_release, root, url)
            load.wait_for_more()
            assert not publication.done()
            postgres_pair.replica.promote()
            new = publication.result(timeout=240)
            assert new != old
            eventually(lambda: running.get("/v1/index").json()["release"] == new)
            load.wait_for_more()
        print(f"answers while the primary died and the replica was promoted: {load.statuses}")
        assert set(load.statuses) == {200}
    assert verify_release(open_storage(root), database=database_at(url)).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("reads", ["replica first", "at random"])
def test_a_replica_killed_under_load_fails_no_answer(
    tiny_release: TinyRelease, postgres_pair: PostgresPair, tmp_path: Path, reads: str
) -> None:
    root, url = tmp_path / "root", postgres_pair.url()
    publish_tiny(tiny_release, root, url)
    postgres_pair.catch_up()
    how = "target_session_attrs=prefer-standby"
    if reads == "at random":
        how = "load_balance_hosts=random"
    with serving(root, tmp_path, f"{url}?{how}") as running:
        if reads == "replica first":
            with postgres_pair.replica.connect() as connection:
                asked = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = %s"
                assert connection.execute(asked, ["lookalike"]).fetchone() == (True,)
        load = Load(running)
        with load.going_on():
            load.wait_for_more()
            postgres_pair.replica.kill()
            load.wait_for_more()
            postgres_pair.replica.start()
            load.wait_for_more()
            postgres_pair.replica.kill()
            load.wait_for_more()
        print(f"answers while the replica was killed twice, {reads}: {load.statuses}")
        assert set(load.statuses) == {200}
