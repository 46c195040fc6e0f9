"""Releases whose files hold their own names: for what never opens them."""

from pathlib import Path

from function.manifest import (
    CATALOG,
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    GOLDEN,
    MANIFEST,
    SCHEMA_VERSION,
    Counts,
    GoldenInfo,
    IndexInfo,
    IndexSetting,
    Manifest,
    ModelInfo,
)
from function.release import file_info
from function.storage import Storage

FILES = (
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    "checkpoint/_METADATA",
    "checkpoint/d/0",
    "index/dataset.npy",
    "index/scann_config.pb",
    CATALOG,
    GOLDEN,
)

EXACT = IndexSetting("exact", "float32", 0, 0, 0, 1.0, 0.1, 0.01)
TREE = IndexSetting("scann", "int8", 8, 2, 50, 0.95, 0.05, 0.02)


def write_named_files(folder: Path) -> Manifest:
    """Write files of their own names a hundred times, and return the manifest that lists them."""
    files = {}
    for name in FILES:
        local = folder / name
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(name.encode() * 100)
        files[name] = file_info(local)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        release_id="20261120T090000Z-abc",
        created="2026-11-20T09:00:00Z",
        model=ModelInfo("m7", "resnet50", 512, 128),
        index=IndexInfo("i31", 5, 0.99, EXACT, (EXACT, TREE)),
        counts=Counts(products=3, images=5),
        golden=GoldenInfo(photos=4, worst_cosine=0.99999),
        evaluation={"leave_one_out": {"recall_at_1": 0.5}, "query_to_catalog": None},
        files=files,
    )


def upload_named_files(storage: Storage, manifest: Manifest, folder: Path) -> None:
    """Put such a release into a root, its manifest last."""
    target = storage.child(f"releases/{manifest.release_id}")
    for name in manifest.files:
        target.upload(folder / name, name)
    target.write(MANIFEST, manifest.to_json())
