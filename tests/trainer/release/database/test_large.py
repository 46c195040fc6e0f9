"""A listing that memory need not hold, through shards, into a database."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from psycopg.sql import SQL, Identifier

from function.release import read_manifest, release_prefix
from function.storage import open_storage
from tests.patterns import noisy_patterns
from trainer.cli import main
from trainer.data import large
from trainer.data.catalog import open_catalog
from trainer.data.large import open_large
from trainer.release.database.connection import database_at
from trainer.release.database.rows import DatabaseRows
from trainer.release.large import publish_large
from trainer.release.sampling import sampled_products
from trainer.training.experiment import Experiment
from trainer.training.loop import train

FROZEN = Experiment(architecture="resnet18", width=4, image_size=32, steps=0, products_per_batch=2)
PRODUCTS = 7


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of each product, in two files: first photos, then the others; one is damaged."""
    folder = tmp_path_factory.mktemp("listed")
    rows = []
    for product, photo, picture in noisy_patterns(PRODUCTS, noise=40):
        picture.save(folder / f"{product}-{photo}.png")
        rows.append((photo, f"p{product}", f"{product}-{photo}.png", f"colour=c{product % 2}"))
    (folder / "3-2.png").write_bytes(b"no photo")
    for number, part in enumerate(
        ([row for row in rows if not row[0]], [row for row in rows if row[0]])
    ):
        _, ids, images, labels = zip(*part, strict=True)
        columns = {"product_id": ids, "image": images, "labels": labels}
        parquet.write_table(arrow.table(columns), folder / f"part-{number}.parquet")
    return folder


@pytest.fixture(scope="module")
def run(listing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = str(tmp_path_factory.mktemp("made") / "run")
    train(open_catalog(listing), url, FROZEN)
    return url


def rows_of(url: str, release_id: str) -> list[tuple[object, ...]]:
    """All rows by product and photo, with what they can be found by."""
    with psycopg.connect(url) as connection:
        query = SQL(
            "SELECT id, image_id, labels::text, i.terms, embedding::text "
            "FROM {0}.image i JOIN {0}.product p ON p.number = i.product ORDER BY id, image_id"
        )
        return connection.execute(query.format(Identifier(release_id))).fetchall()


def test_it_holds_what_a_publication_from_memory_holds(
    listing: Path,
    run: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = str(tmp_path / "root")
    options = ["--run", run, "--catalog", str(listing), "--root", root, "--index", database_url]
    found = []
    for most in (large.MOST_HELD_ROWS, 3 * PRODUCTS - 1):
        monkeypatch.setattr(large, "MOST_HELD_ROWS", most)
        main(["publish", *options, "--precision", "float", "--json"])
        found.append(json.loads(capsys.readouterr().out)["release_id"])
    held, walked = (rows_of(database_url, release_id) for release_id in found)
    # A name is numbered only where all are known.
    assert [(row[0], str(row[1]).partition("-")[0], *row[2:]) for row in walked] == [
        (row[0], str(row[1]).partition("-")[0], *row[2:]) for row in held
    ]
    assert len(walked) == 3 * PRODUCTS - 1
    manifests = [read_manifest(open_storage(root), release_id) for release_id in found]
    assert manifests[0].counts == manifests[1].counts
    assert manifests[1].calibration is None
    # The release has what was in them.
    assert not open_storage(root).list("embeddings")
    bad = open_storage(run).read("release/bad_photos.csv").decode().splitlines()
    assert [line.split(",")[1] for line in bad[1:]] == ["3-2.png"]


@pytest.mark.slow
def test_what_was_embedded_before_it_was_cut_off_is_kept(
    listing: Path, run: str, database_url: str, tmp_path: Path
) -> None:
    root = open_storage(tmp_path)

    class Gone(DatabaseRows):
        def put(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Gone(database_at(database_url)) as rows:
        publish_large(run, open_large(listing), str(tmp_path), rows=rows, rows_per_shard=4)
    shards = {name: root.read_versioned(name) for name in root.list("embeddings")}
    done = [name for name in shards if "/done-" in name]
    assert len(done) == -(-3 * PRODUCTS // 4)
    assert root.read_versioned("current.json") is None
    kept = {}

    class Seen(DatabaseRows):
        def put(self, *arguments: object) -> object:
            kept.update({name: root.read_versioned(name) for name in done})
            return super().put(*arguments)

    with Seen(database_at(database_url)) as rows:
        release_id = publish_large(
            run, open_large(listing), str(tmp_path), rows=rows, rows_per_shard=4
        )
    assert kept == {name: shards[name] for name in done}
    assert root.list(release_prefix(release_id))
    assert not root.list("embeddings")


def test_products_are_drawn_whole_and_the_same_each_time(listing: Path) -> None:
    photos = [*open_large(listing).photos()]
    assert [*sampled_products(photos, len(photos), len(photos))] == photos
    half = [*sampled_products(photos, len(photos), len(photos) // 2)]
    names = {photo.product_id for photo in half}
    assert 0 < len(names) < PRODUCTS
    assert half == [photo for photo in photos if photo.product_id in names]
    assert {*sampled_products(reversed(photos), len(photos), len(photos) // 2)} == {*half}
