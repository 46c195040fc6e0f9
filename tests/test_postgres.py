"""The servers that other tests rely on do what they are named for."""

import psycopg
import pytest

from tests.postgres import PostgresPair, PostgresServer
from tests.waiting import eventually


def test_a_database_of_its_own_with_pgvector_on_postgresql_16(
    postgres: PostgresServer, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.info.server_version // 10000 == 16
        found = connection.execute("SELECT '[1,0]'::vector <=> '[0,1]'::vector").fetchone()
        assert found == (1.0,)
    assert database_url.startswith(postgres.url("")), "on the shared server"


@pytest.mark.slow
def test_a_replica_follows_answers_on_after_a_kill_and_takes_writes_when_promoted(
    postgres_pair: PostgresPair,
) -> None:
    primary, replica = postgres_pair.primary, postgres_pair.replica
    with primary.connect() as connection:
        connection.execute("CREATE TABLE told AS SELECT 1 AS what")
    postgres_pair.catch_up()
    primary.kill()
    assert not primary.running
    with replica.connect() as connection:
        assert connection.execute("SELECT what FROM told").fetchone() == (1,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO told VALUES (2)")
    replica.promote()
    writing = f"{postgres_pair.url()}?target_session_attrs=read-write"
    with psycopg.connect(writing, autocommit=True) as connection:
        connection.execute("INSERT INTO told VALUES (2)")


@pytest.mark.slow
def test_a_killed_server_comes_back_with_what_was_committed(postgres_pair: PostgresPair) -> None:
    primary, replica = postgres_pair.primary, postgres_pair.replica
    with primary.connect() as connection:
        connection.execute("CREATE TABLE told AS SELECT 1 AS what")
    primary.kill()
    primary.start()
    with primary.connect() as connection:
        assert connection.execute("SELECT what FROM told").fetchone() == (1,)
        connection.execute("INSERT INTO told VALUES (2)")
    with replica.connect() as connection:
        eventually(lambda: connection.execute("SELECT count(*) FROM told").fetchone() == (2,))
    replica.stop()
    replica.start()
    postgres_pair.catch_up()
