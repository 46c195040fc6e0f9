"""A release's files come whole and unchanged, once each, or are refused by name."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from function.errors import ReleaseError
from function.manifest import (
    CATALOG,
    EMBEDDER_ONNX,
    EMBEDDER_STABLEHLO,
    GOLDEN,
    INDEX,
    Manifest,
)
from function.release import (
    drop_cached_releases,
    fetch_release,
    fetching_release,
)
from function.storage import Storage, open_storage
from tests.named_files import upload_named_files, write_named_files


@pytest.fixture
def storage(storage_root: str) -> Storage:
    return open_storage(storage_root)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return write_named_files(tmp_path / "made")


@pytest.mark.parametrize("engine", ["openvino", "jax"])
def test_only_the_files_of_the_engine_are_fetched(
    storage: Storage, manifest: Manifest, tmp_path: Path, engine: str
) -> None:
    upload_named_files(storage, manifest, tmp_path / "made")
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
    upload_named_files(storage, manifest, tmp_path / "made")
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
    upload_named_files(storage, manifest, tmp_path / "made")
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
    upload_named_files(storage, manifest, tmp_path / "made")
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
    upload_named_files(storage, manifest, tmp_path / "made")
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
    upload_named_files(storage, manifest, tmp_path / "made")
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
    upload_named_files(storage, replace(manifest, files=files), tmp_path / "made")
    with pytest.raises(ReleaseError, match="checkpoint, which the jax engine needs; found none"):
        fetch_release(storage, manifest.release_id, tmp_path / "cache", engine="jax")
    with pytest.raises(ReleaseError, match="expected one of openvino, jax; found 'torch'"):
        fetch_release(storage, manifest.release_id, tmp_path / "cache", engine="torch")


def test_two_cold_starts_share_one_cache(
    gcs_emulator: str, manifest: Manifest, tmp_path: Path
) -> None:
    storage = open_storage(gcs_emulator)
    upload_named_files(storage, manifest, tmp_path / "made")
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


def test_several_may_forget_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def forget(_: int) -> None:
        start.wait()
        drop_cached_releases(tmp_path, keep={"new"})

    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for number in range(20):
                (tmp_path / f"releases/old/{number}").mkdir(parents=True)
            list(pool.map(forget, range(4)))
            assert not (tmp_path / "releases/old").exists()
