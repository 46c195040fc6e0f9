"""A manifest is read as it was written, or refused with the field that is wrong."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from function.errors import ReleaseError
from function.manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    Int8Info,
    Manifest,
)
from function.manifest_file import parse_manifest
from tests.named_files import write_named_files


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return write_named_files(tmp_path / "made")


def test_a_manifest_survives_its_json(manifest: Manifest) -> None:
    assert parse_manifest(manifest.to_json()) == manifest


def test_a_manifest_of_before_int8_is_read(manifest: Manifest) -> None:
    content = asdict(manifest)
    del content["int8"]
    assert parse_manifest(json.dumps(content).encode()) == manifest


def test_figures_of_int8_survive_and_are_checked(manifest: Manifest) -> None:
    measured = Int8Info(False, "avx512_vnni", 0.7, 1000, 0.8, 0.79, 0.79, 0.99)
    content = asdict(replace(manifest, int8=measured))
    assert parse_manifest(json.dumps(content).encode()).int8 == measured
    content["int8"]["latency_ratio"] = "fast"
    with pytest.raises(ReleaseError, match=r"int8\.latency_ratio: expected float; found 'fast'"):
        parse_manifest(json.dumps(content).encode())


def test_fields_of_a_newer_publisher_are_ignored(manifest: Manifest) -> None:
    content = asdict(manifest) | {"shoe_size": 43}
    assert parse_manifest(json.dumps(content).encode()) == manifest


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "schema_version",
            SCHEMA_VERSION + 1,
            rf"schema_version: expected {SCHEMA_VERSION}, found {SCHEMA_VERSION + 1}\. Deploy",
        ),
        ("schema_version", None, f"schema_version: expected {SCHEMA_VERSION}, found None"),
        ("release_id", "../x", "release_id: expected letters"),
        ("created", 7, "created: expected str; found 7"),
        ("model.embedding_dim", "512", "model.embedding_dim: expected int; found '512'"),
        ("model.embedding_dim", 0, "model.embedding_dim: expected 1 or more; found 0"),
        ("model.image_size", True, "model.image_size: expected int; found True"),
        (
            "index.chosen.kind",
            "hnsw",
            "chosen.kind: expected one of exact, scann, pgvector; found 'hnsw'",
        ),
        ("index.chosen.recall_at_10", "high", "index.chosen.recall_at_10: expected float"),
        ("index.curve", {}, "index.curve: expected a list; found {}"),
        ("index.curve", [{"kind": "exact"}], r"index.curve.0.row_type: expected a value"),
        ("index.rows", 6, "index.rows: expected counts.images, 5; found 6"),
        ("counts", [], "counts: expected an object"),
        ("golden.photos", 0, "golden.photos: expected 1 or more"),
        ("files", {"../a": {"sha256": "0" * 64, "size": 1}}, "names inside the release"),
        ("files", {"a": {"sha256": "0" * 63, "size": 1}}, "files.a: expected a SHA-256"),
        ("files", {"a": {"sha256": "0" * 64}}, "files.a.size: expected a value"),
        ("files", {"a": "b"}, "files.a: expected an object; found 'b'"),
    ],
)
def test_a_bad_field_is_named(manifest: Manifest, path: str, value: Any, message: str) -> None:
    content: dict[str, Any] = json.loads(manifest.to_json())
    *parents, last = path.split(".")
    inner = content
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    with pytest.raises(ReleaseError, match=message):
        parse_manifest(json.dumps(content).encode())


OPTIONAL = {"int8", "calibration", "base"}


@pytest.mark.parametrize("field", sorted(set(Manifest.__dataclass_fields__) - OPTIONAL))
def test_a_missing_field_is_named(manifest: Manifest, field: str) -> None:
    content = json.loads(manifest.to_json())
    del content[field]
    with pytest.raises(ReleaseError, match=f"{field}: expected"):
        parse_manifest(json.dumps(content).encode())


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[1]", b"null", b"{"])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError, match=MANIFEST):
        parse_manifest(data)
