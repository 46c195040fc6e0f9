"""A release is served whole and unchanged, or refused with the file or field that is wrong."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from function.errors import ReleaseError
from function.manifest import (
    CATALOG,
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    GOLDEN,
    INDEX,
    MANIFEST,
    SCHEMA_VERSION,
    Counts,
    GoldenInfo,
    IndexInfo,
    IndexSetting,
    Int8Info,
    Manifest,
    ModelInfo,
)
from function.manifest_file import parse_manifest
from function.release import (
    POINTER,
    Pointer,
    current_release_id,
    drop_cached_releases,
    fetch_release,
    fetching_release,
    file_info,
    list_releases,
    read_pointer,
    set_current,
)
from function.storage import Conflict, Storage, open_storage

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


@pytest.fixture
def storage(storage_root: str) -> Storage:
    return open_storage(storage_root)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    files = {}
    for name in FILES:
        local = tmp_path / "made" / name
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


def publish(storage: Storage, manifest: Manifest, made: Path) -> None:
    target = storage.child(f"releases/{manifest.release_id}")
    for name in manifest.files:
        target.upload(made / name, name)
    target.write(MANIFEST, manifest.to_json())


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


@pytest.mark.parametrize("engine", ["openvino", "jax"])
def test_only_the_files_of_the_engine_are_fetched(
    storage: Storage, manifest: Manifest, tmp_path: Path, engine: str
) -> None:
    publish(storage, manifest, tmp_path / "made")
    release = fetch_release(storage, manifest.release_id, tmp_path / "cache", engine=engine)
    assert release.manifest == manifest
    other = EMBEDDER_ONNX if engine == "jax" else EMBEDDER_STABLEHLO
    wanted = manifest.files_for(engine)
    assert other not in wanted
    for name in wanted:
        assert (release.folder / name).read_bytes() == name.encode() * 100
    if storage.folder is None:
        assert not (release.folder / other).exists()
    else:
        assert release.folder.is_relative_to(storage.folder)
        assert not (tmp_path / "cache").exists()


def test_a_second_fetch_downloads_only_what_is_damaged(
    gcs_emulator: str, manifest: Manifest, tmp_path: Path
) -> None:
    storage = open_storage(gcs_emulator)
    publish(storage, manifest, tmp_path / "made")
    cache = tmp_path / "cache"
    folder = fetch_release(storage, manifest.release_id, cache, engine="openvino").folder
    (folder / CATALOG).write_bytes(b"damaged on this disk")
    before = (folder / GOLDEN).stat().st_mtime_ns
    fetch_release(storage, manifest.release_id, cache, engine="openvino")
    assert (folder / CATALOG).read_bytes() == CATALOG.encode() * 100
    assert (folder / GOLDEN).stat().st_mtime_ns == before


def test_a_part_is_there_as_soon_as_its_own_files_are(
    gcs_emulator: str, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(gcs_emulator)
    publish(storage, manifest, tmp_path / "made")
    released = threading.Event()
    download = type(storage).download

    def slow(self: Storage, name: str, destination: Path) -> None:
        if name == CATALOG:
            assert released.wait(30)
        download(self, name, destination)

    monkeypatch.setattr(type(storage), "download", slow)
    cache = tmp_path / "cache"
    with fetching_release(storage, manifest.release_id, cache, engine="openvino") as release:
        index = release.part(INDEX)
        assert (index / "dataset.npy").read_bytes() == b"index/dataset.npy" * 100
        assert not (release.folder / CATALOG).exists()
        released.set()
        assert release.part(CATALOG).read_bytes() == CATALOG.encode() * 100


def test_damage_fails_its_part_and_the_whole_but_no_other_part(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    publish(storage, manifest, tmp_path / "made")
    storage.write(f"releases/{manifest.release_id}/index/dataset.npy", b"~")
    damage = r"index/dataset\.npy of release"
    fetching = fetching_release(storage, manifest.release_id, tmp_path / "cache", engine="openvino")
    release = fetching.__enter__()
    assert release.part(GOLDEN).read_bytes() == GOLDEN.encode() * 100
    with pytest.raises(ReleaseError, match=damage):
        release.part(INDEX)
    with pytest.raises(ReleaseError, match=damage):
        fetching.__exit__(None, None, None)


def test_what_is_kept_in_memory_is_given_away_and_never_a_file(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    publish(storage, manifest, tmp_path / "made")
    with fetching_release(
        storage,
        manifest.release_id,
        tmp_path / "cache",
        engine="openvino",
        in_memory={EMBEDDER_ONNX},
    ) as release:
        path = release.folder / EMBEDDER_ONNX
        taken = release.take(EMBEDDER_ONNX)
        if storage.folder is None:
            assert taken == EMBEDDER_ONNX.encode() * 100
            assert not path.exists()
        else:
            assert taken == path
        assert not release.contents
        assert release.take(GOLDEN) == release.folder / GOLDEN
        assert (release.folder / GOLDEN).is_file()


@pytest.mark.parametrize("name", [EMBEDDER_ONNX, "index/dataset.npy", CATALOG, GOLDEN])
@pytest.mark.parametrize("in_memory", [(), (EMBEDDER_ONNX,)])
@pytest.mark.parametrize("damage", ["missing", "size", "byte"])
def test_damage_names_the_file_and_what_was_found(
    storage: Storage,
    manifest: Manifest,
    tmp_path: Path,
    name: str,
    in_memory: tuple[str, ...],
    damage: str,
) -> None:
    publish(storage, manifest, tmp_path / "made")
    stored = f"releases/{manifest.release_id}/{name}"
    good = storage.read(stored)
    if damage == "missing":
        storage.delete(stored)
        message = "found none"
    elif damage == "size":
        storage.write(stored, good + b"!")
        message = f"expected {len(good)} bytes, found {len(good) + 1}"
    else:
        storage.write(stored, good[:-1] + b"~")
        message = "expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}"
    fetching = fetching_release(
        storage, manifest.release_id, tmp_path / "cache", engine="openvino", in_memory=in_memory
    )
    damaged = pytest.raises(ReleaseError, match=f"{name} of release .*: .*{message}")
    with damaged, fetching:
        pass


def test_a_release_without_the_engine_says_which_file_it_lacks(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    files = {name: info for name, info in manifest.files.items() if "checkpoint" not in name}
    publish(storage, replace(manifest, files=files), tmp_path / "made")
    with pytest.raises(ReleaseError, match="checkpoint, which the jax engine needs; found none"):
        fetch_release(storage, manifest.release_id, tmp_path / "cache", engine="jax")
    with pytest.raises(ReleaseError, match="expected one of openvino, jax; found 'torch'"):
        fetch_release(storage, manifest.release_id, tmp_path / "cache", engine="torch")


def test_a_manifest_in_another_folder_is_refused(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    storage.write(f"releases/other/{MANIFEST}", manifest.to_json())
    with pytest.raises(ReleaseError, match="release_id: expected the folder's name, other"):
        fetch_release(storage, "other", tmp_path / "cache", engine="openvino")
    with pytest.raises(ReleaseError, match="release absent does not exist"):
        fetch_release(storage, "absent", tmp_path / "cache", engine="openvino")


def test_the_pointer_moves_only_to_complete_releases_and_in_turn(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    assert read_pointer(storage) is None
    assert current_release_id(storage) is None
    assert list_releases(storage) == []
    with pytest.raises(ReleaseError, match="does not exist or is unfinished"):
        set_current(storage, manifest.release_id, None)
    storage.write("releases/unfinished/embedder.onnx", b"")
    second = replace(manifest, release_id="20261121T090000Z-def")
    for each in (second, manifest):
        publish(storage, each, tmp_path / "made")
    assert list_releases(storage) == [manifest.release_id, second.release_id]
    version = set_current(storage, manifest.release_id, None)
    assert read_pointer(storage) == Pointer(manifest.release_id, version)
    set_current(storage, second.release_id, version)
    with pytest.raises(Conflict):
        set_current(storage, manifest.release_id, version)
    assert current_release_id(storage) == second.release_id


def test_going_back_never_leads_to_a_release_that_was_left_behind(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    ids = [f"r{number:02}" for number in range(13)]
    for release_id in ids:
        publish(storage, replace(manifest, release_id=release_id), tmp_path / "made")

    def go_to(release_id: str) -> tuple[str, ...]:
        pointer = read_pointer(storage)
        set_current(storage, release_id, pointer.version if pointer else None)
        pointer = read_pointer(storage)
        assert pointer is not None
        assert pointer.release_id == release_id
        return pointer.previous

    assert go_to("r00") == ()
    assert go_to("r01") == ("r00",)
    assert go_to("r01") == ("r00",)
    assert go_to("r02") == ("r01", "r00")
    assert go_to("r01") == ("r00",)
    assert go_to("r03") == ("r01", "r00")
    assert go_to("r00") == ()
    for release_id in ids[1:]:
        previous = go_to(release_id)
    assert previous == tuple(reversed(ids[2:12]))


def test_a_pointer_from_before_it_remembered_is_read_and_gone_on_from(
    storage: Storage, manifest: Manifest, tmp_path: Path
) -> None:
    storage.write(POINTER, b'{"release_id": "old"}')
    publish(storage, manifest, tmp_path / "made")
    pointer = read_pointer(storage)
    assert pointer is not None
    assert (pointer.release_id, pointer.previous) == ("old", ())
    set_current(storage, manifest.release_id, pointer.version)
    pointer = read_pointer(storage)
    assert pointer is not None
    assert (pointer.release_id, pointer.previous) == (manifest.release_id, ("old",))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b'{"release_id": 3}', b'{"release_id": "../x"}'),
        *(b'{"release_id": "x", "previous": "y"}', b'{"release_id": "x", "previous": ["../y"]}'),
    ],
)
def test_a_damaged_pointer_is_named(storage: Storage, data: bytes) -> None:
    storage.write(POINTER, data)
    with pytest.raises(ReleaseError, match=POINTER):
        read_pointer(storage)


def test_two_cold_starts_share_one_cache(
    gcs_emulator: str, manifest: Manifest, tmp_path: Path
) -> None:
    storage = open_storage(gcs_emulator)
    publish(storage, manifest, tmp_path / "made")
    start = threading.Barrier(4)

    def fetch(_: int) -> Path:
        start.wait()
        cache = tmp_path / "cache"
        return fetch_release(storage, manifest.release_id, cache, engine="openvino").folder

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(fetch, range(4)))
    (folder,) = folders
    assert (folder / CATALOG).read_bytes() == CATALOG.encode() * 100


def test_the_cache_forgets_all_but_what_is_kept(tmp_path: Path) -> None:
    for name in ("releases/old/a", "releases/old/b/c", "releases/new/a", "precious/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def files() -> set[str]:
        found = tmp_path.rglob("*")
        return {path.relative_to(tmp_path).as_posix() for path in found if path.is_file()}

    (tmp_path / "releases" / "stray").write_bytes(b"")
    drop_cached_releases(tmp_path, keep={"new", "old/b"})
    drop_cached_releases(tmp_path / "absent", keep={"new"})
    others = {"releases/new/a", "releases/stray", "precious/a"}
    assert files() == {"releases/old/b/c", *others}
    drop_cached_releases(tmp_path, keep={"new"})
    assert files() == others
    assert not (tmp_path / "releases/old").exists()


def test_two_may_forget_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def forget(_: int) -> None:
        start.wait()
        drop_cached_releases(tmp_path, keep={"new"})

    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for number in range(20):
                (tmp_path / f"releases/old/{number}").mkdir(parents=True)
            list(pool.map(forget, range(4)))
            shutil.rmtree(tmp_path / "releases/old", ignore_errors=True)
