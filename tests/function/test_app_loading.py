"""The function while its release loads, where there is none that can be served, and on gs://."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from function.release import IMAGES, release_prefix
from function.storage import open_storage
from tests.answers import PHOTO, assert_refused, results
from tests.gcs import make_bucket, upload_folder
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function


def test_four_concurrent_first_requests_load_once(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root)) as running:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: running.search(PHOTO), range(4)))
        first = results(answers[0])
        assert all(results(answer) == first for answer in answers)
        loads = [line for line in running.log_lines() if "is loaded" in line["message"]]
        assert len(loads) == 1
        assert any(answer.json()["coldStart"] for answer in answers)
        assert running.search(PHOTO).json()["coldStart"] is False


def test_while_loading_it_answers_503_and_says_when_to_come_back(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    with run_function(log, root=str(tiny_release.root), loading_wait_seconds="0") as running:
        early = running.search(PHOTO)
        assert_refused(early, 503, "LOADING")
        assert int(early.headers["Retry-After"]) > 0
        assert_refused(running.get("/health/ready"), 503, "LOADING")
        assert running.get("/").status == 200
        running.wait_until_ready()
        assert results(running.search(PHOTO))


def test_a_damaged_release_is_refused_and_its_repair_noticed(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    release_id = tiny_release.release_id
    program = root / release_prefix(release_id) / "embedder.onnx"
    sound = program.read_bytes()
    program.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with run_function(tmp_path / "log.txt", root=str(root)) as running:
        answer = running.search(PHOTO)
        error = assert_refused(answer, 503, "NO_VALID_RELEASE")
        assert int(answer.headers["Retry-After"]) > 0
        assert "onnx" not in error["message"]
        assert_refused(running.get("/health/ready"), 503, "NO_VALID_RELEASE")
        assert_refused(running.get("/v1/index"), 503, "NO_VALID_RELEASE")
        assert running.get("/health/live").status == 200
        (line, *_) = [x for x in running.log_lines() if x.get("reason") and "onnx" in x["message"]]
        assert release_id in line["message"]
        program.write_bytes(sound)
        running.wait_until_ready()
        assert results(running.search(PHOTO))


def test_without_a_root_it_names_the_setting_in_its_log(tmp_path: Path) -> None:
    with run_function(tmp_path / "log.txt") as running:
        assert_refused(running.get("/health/ready"), 503, running_reason(running))
        answer = running.search(PHOTO)
        assert_refused(answer, 503, "NO_VALID_RELEASE")
        assert "LOOKALIKE_ROOT" in running.log.read_text()


def running_reason(running: RunningFunction) -> str:
    """Just after the start it may still be trying."""
    reason = running.get("/health/ready").json()["error"]["details"][0]["reason"]
    assert reason in ("LOADING", "NO_VALID_RELEASE")
    return str(reason)


def test_release_photos_and_sources_can_lie_on_google_storage(
    tiny_release: TinyRelease, tmp_path: Path, gcs_emulator: str
) -> None:
    upload_folder(tiny_release.root, f"{gcs_emulator}/shop")
    sources = make_bucket(os.environ["STORAGE_EMULATOR_HOST"])
    open_storage(sources).write("photos/mine.jpg", PHOTO)
    with run_function(
        tmp_path / "log.txt",
        root=f"{gcs_emulator}/shop",
        cache_dir=str(tmp_path / "cache"),
        source_buckets=sources.removeprefix("gs://"),
    ) as running:
        running.wait_until_ready()
        by_uri = running.search_json(
            {"image": {"source": {"imageUri": f"{sources}/photos/mine.jpg"}}}
        )
        assert results(by_uri) == results(running.search(PHOTO))
        missing = running.search_json({"image": {"source": {"imageUri": f"{sources}/none.jpg"}}})
        assert_refused(missing, 400, "IMAGE_SOURCE_NOT_FOUND")
        stored = next((tiny_release.root / IMAGES).glob("*.jpg"))
        assert running.get(f"/v1/images/{stored.stem}").body == stored.read_bytes()
        assert_refused(running.get("/v1/images/" + "0" * 64), 404, "IMAGE_NOT_FOUND")
