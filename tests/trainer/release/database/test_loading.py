"""Rows into a database: streamed in chunks, once each, merged as in one piece."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, LiteralString

import numpy as np
import psycopg
import pytest

from function.catalog import ImageRow, Product
from function.manifest import Counts
from function.postgres import writing
from function.postgres.schema import HNSW, SCANN
from tests.postgres import PostgresServer
from tests.tables import schemas_in
from trainer.errors import DatabaseError, PublishError
from trainer.release.contents import Contents
from trainer.release.copies import Signatures
from trainer.release.database.connection import database_at
from trainer.release.database.indexing import default_options
from trainer.release.database.release import LoadedRelease, check_database, load_release

DIM = 8
TABLES = ("product", "image", "term")


def contents(
    rows: Sequence[tuple[str, str]], products: Sequence[Product] = (), seed: int = 0
) -> Contents:
    """Photos by product id and image id, with random vectors of their own."""
    vectors = np.random.default_rng(seed).standard_normal((len(rows), DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = {product.id: product for product in products}
    listed = dict.fromkeys(product_id for product_id, _ in rows)
    images = [
        ImageRow(row, *names, url=f"https://shop.example/{row}") for row, names in enumerate(rows)
    ]
    return Contents(vectors, images, [known.get(name, Product(name)) for name in listed], None)


def load(url: str, chunks: Iterable[Contents], **options: Any) -> LoadedRelease:
    return load_release(database_at(url), chunks, dim=DIM, rows=10, **options)


def ask(loaded: LoadedRelease, question: LiteralString, name: str = "") -> list[tuple[Any, ...]]:
    """What a statement answers over the tables of a loaded release, or of those named so."""
    connection = loaded.connection
    path = f'"{name or loaded.name}", public'
    connection.execute("SELECT set_config('search_path', %s, false)", [path])
    return connection.execute(question).fetchall()


def test_rows_products_and_terms_are_those_of_the_contents(database_url: str) -> None:
    red = Product("a", "Red", "shoes", "3 EUR", (("color", "red"), ("color", "blue")), ("sale",))
    given = contents([("a", "front"), ("b", "front"), ("a", "back")], [red])
    with load(database_url, [given]) as loaded:
        assert loaded.counts == Counts(products=2, images=3)
        found = ask(
            loaded, "SELECT number, product, picture, image_id, url FROM image ORDER BY number"
        )
        assert found == [
            (0, 0, 0, "front", "https://shop.example/0"),
            (1, 1, 1, "front", "https://shop.example/1"),
            (2, 0, 2, "back", "https://shop.example/2"),
        ]
        vectors = ask(loaded, "SELECT embedding FROM image ORDER BY number")
        np.testing.assert_allclose(
            np.stack([vector.to_numpy() for (vector,) in vectors]), given.vectors, atol=1e-3
        )
        product = ask(
            loaded,
            "SELECT id, title, category, price, labels, product_sets FROM product WHERE number = 0",
        )
        labels = [["color", "red"], ["color", "blue"]]
        assert product == [("a", "Red", "shoes", "3 EUR", labels, ["sale"])]
        terms = ask(
            loaded, "SELECT number, kind, key, value, products FROM term ORDER BY kind, key, value"
        )
        assert [term[1:] for term in terms] == [
            ("category", "", "shoes", 1),
            ("label", "color", "blue", 1),
            ("label", "color", "red", 1),
            ("product set", "", "sale", 1),
        ]
        numbers = sorted(term[0] for term in terms)
        assert ask(loaded, "SELECT terms FROM image ORDER BY number") == [
            (numbers,),
            ([],),
            (numbers,),
        ]


def test_a_product_in_several_chunks_is_merged_as_in_one(database_url: str) -> None:
    early = Product("a", "", "shoes", "", (("color", "red"),))
    late = Product("a", "Shoe", "bags", "3 EUR", (("color", "blue"),), ("sale",))
    chunks = [
        contents([("a", "1"), ("b", "1")], [early], seed=1),
        contents([("c", "1"), ("a", "2")], [late], seed=2),
    ]
    with load(database_url, chunks) as loaded:
        assert loaded.counts == Counts(products=3, images=4)
        assert ask(loaded, "SELECT product, image_id FROM image ORDER BY number") == [
            (0, "1"),
            (1, "1"),
            (2, "1"),
            (0, "2"),
        ]
        product = ask(
            loaded,
            "SELECT title, category, price, labels, product_sets FROM product WHERE id = 'a'",
        )
        both = [["color", "red"], ["color", "blue"]]
        assert product == [("Shoe", "shoes", "3 EUR", both, ["sale"])]
        # Its photos of the first chunk are found by what the second said.
        ((first,), (other,), _, (second,)) = ask(loaded, "SELECT terms FROM image ORDER BY number")
        assert first == second
        assert len(first) == 4
        assert other == []


def test_photos_that_come_twice_are_loaded_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BLOCK_ROWS", 2)
    rows = [("a", "1"), ("b", "1"), ("a", "1"), ("a", "2"), ("b", "1")]
    chunk = contents(rows)
    with load(database_url, [chunk, chunk]) as loaded:
        assert loaded.counts == Counts(products=2, images=3)
        found = ask(
            loaded, "SELECT number, product, image_id, embedding FROM image ORDER BY number"
        )
        assert [row[:3] for row in found] == [(0, 0, "1"), (1, 1, "1"), (2, 0, "2")]
        for row, place in zip(found, (0, 1, 3), strict=True):
            np.testing.assert_allclose(row[3].to_numpy(), chunk.vectors[place], atol=1e-3)


def test_copies_carry_the_number_of_the_first_that_shows_the_picture(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BLOCK_ROWS", 2)
    before = contents([("z", "1"), ("z", "2"), ("z", "3")])
    one = contents([("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1")])
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
    hashes = random.integers(0, 2**63, 5).astype(np.uint64)
    pixels[[3, 4]], hashes[[3, 4]] = pixels[1], hashes[1]
    copied = Contents(one.vectors, one.images, one.products, Signatures(hashes, pixels))
    with load(database_url, [before, copied]) as loaded:
        found = ask(loaded, "SELECT number, picture FROM image ORDER BY number")
        assert found == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 4), (7, 4)]


def test_every_row_is_witnessed_with_its_number(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BLOCK_ROWS", 2)
    chunk = contents([("a", "1"), ("b", "1"), ("a", "1"), ("a", "2")])
    seen: dict[int, Any] = {}

    def witness(numbers: Any, vectors: Any) -> None:
        seen.update(zip(numbers.tolist(), vectors, strict=True))

    with load(database_url, [chunk], witness=witness):
        assert seen.keys() == {0, 1, 2}
        np.testing.assert_array_equal(seen[2], chunk.vectors[3])


def test_a_release_is_seen_under_its_name_when_it_is_whole_and_not_before(
    database_url: str,
) -> None:
    release_id = "20261120T090000.000Z-abc"
    with load(database_url, [contents([("a", "1"), ("b", "1")])]) as loaded:
        assert schemas_in(database_url) == {loaded.name}
        loaded.put_in_place(release_id)
        assert schemas_in(database_url) == {release_id}
        said = ask(
            loaded, "SELECT access_method, dim, products, images, index_id FROM release", release_id
        )
        assert said == [("hnsw", DIM, 2, 2, loaded.index_id)]
        kinds = loaded.connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND indexname = %s",
            [release_id, "image_embedding"],
        ).fetchone()
        assert kinds is not None
        assert "USING hnsw" in kinds[0]


def test_what_a_loader_that_is_gone_left_behind_goes_and_what_one_at_work_has_stays(
    database_url: str,
) -> None:
    with load(database_url, [contents([("a", "1")])]) as gone:
        pass
    assert schemas_in(database_url) == {gone.name}
    with load(database_url, [contents([("a", "1")])]) as first:
        assert schemas_in(database_url) == {first.name}
        with load(database_url, [contents([("a", "1")])]) as second:
            assert schemas_in(database_url) == {first.name, second.name}


def test_a_connection_that_is_lost_is_made_again_and_all_is_loaded(
    database_url: str, postgres: PostgresServer
) -> None:
    tries = []

    class Chunks:
        def __iter__(self) -> Iterator[Contents]:
            tries.append(None)
            yield contents([("a", "1")])
            if len(tries) == 1:
                with postgres.connect() as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                        [database_url.rpartition("/")[2]],
                    )
            yield contents([("b", "1")], seed=1)

    with load(database_url, Chunks()) as loaded:
        assert len(tries) == 2
        assert loaded.counts == Counts(products=2, images=2)
        loaded.connection.close()
        loaded.put_in_place("of-another-connection")
    assert schemas_in(database_url) == {"of-another-connection"}


def test_a_tree_is_given_the_leaves_that_it_asks_for_and_a_graph_nothing() -> None:
    assert default_options(HNSW, 1_000_000_000) == ""
    assert default_options(SCANN, 1_000_000) == "num_leaves = 1000"
    assert default_options(SCANN, 1_000_000_000) == "num_leaves = 1000000, max_num_levels = 2"


def test_nothing_to_load_is_told_and_leaves_nothing_in_the_way(database_url: str) -> None:
    with pytest.raises(PublishError, match="Expected photos to load"):
        load(database_url, [])


def test_an_address_is_never_told_with_its_password(postgres: PostgresServer) -> None:
    for address in (
        f"postgresql://postgres:secret@127.0.0.1:{postgres.port}/there_is_none",
        "postgresql://postgres:secret@127.0.0.1:1,127.0.0.2:1/shop?sslpassword=secret",
    ):
        database = database_at(address)
        assert "secret" not in repr(database)
        with pytest.raises(DatabaseError) as caught:
            check_database(database)
        assert "secret" not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)
    for address in ("postgresql://user:secret@[half", "mysql://user:secret@host/shop"):
        with pytest.raises(DatabaseError, match="expected postgresql://") as caught:
            database_at(address)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_role_that_may_not_make_namespaces_is_refused_at_once(
    database_url: str, postgres: PostgresServer
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        try:
            address = database_url.replace("postgres@", "reader@")
            with pytest.raises(DatabaseError, match="permission denied"):
                check_database(database_at(address))
        finally:
            connection.execute("DROP ROLE reader")
    check_database(database_at(database_url))
    assert schemas_in(database_url) == set()


def test_pgvector_is_created_where_it_is_offered_and_refused_where_it_is_too_old(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP EXTENSION vector")
        with load(database_url, [contents([("a", "1")])]) as loaded:
            assert loaded.method is HNSW
        # As a server tells it whose packages were never updated.
        connection.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(DatabaseError, match=r"Expected pgvector 0\.8 or newer .* found 0\.7\.4"):
        check_database(database_at(database_url))
