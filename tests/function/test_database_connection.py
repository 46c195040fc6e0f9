"""What is asked again and again of a database is planned once for each connection."""

from contextlib import closing

from function.postgres.connection import Database


def test_a_question_that_comes_again_is_prepared(database_url: str) -> None:
    with closing(Database(database_url, 1)) as database:
        for number in range(8):
            assert database.ask("SELECT 2 * %s::int", [number]) == [(2 * number,)]
        prepared = database.ask("SELECT statement FROM pg_prepared_statements")
    assert any("2 * $1::int" in statement for (statement,) in prepared)
