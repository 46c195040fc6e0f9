"""`lookalike smoke` against the real function: over good releases, wrong ones, and closed doors."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from function.release import IMAGES, LocalRelease, release_prefix, set_current
from function.storage import open_storage
from tests.ports import Quiet, answering, free_port
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from trainer.cli import main
from trainer.release.publication import upload


def smoke(capsys: pytest.CaptureFixture[str], url: str, root: object, *options: str) -> Any:
    main(["smoke", "--url", url, "--root", str(root), "--json", *options])
    return json.loads(capsys.readouterr().out)


def complaint(capsys: pytest.CaptureFixture[str], url: str, root: object, *options: str) -> str:
    """What the command says when it fails."""
    with pytest.raises(SystemExit) as end:
        main(["smoke", "--url", url, "--root", str(root), *options])
    assert end.value.code == 1
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


@contextmanager
def serving(release: TinyRelease, folder: Path, change: Any) -> Iterator[RunningFunction]:
    """The function over a copy of a release whose stored vectors were changed, and all hashes."""
    root = folder / "root"
    shutil.copytree(release.root, root)
    place = root / release_prefix(release.release_id)
    rows = np.load(place / "index" / "dataset.npy")
    np.save(place / "index" / "dataset.npy", change(rows))
    data = (place / "index" / "dataset.npy").read_bytes()
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["files"]["index/dataset.npy"] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    (place / "manifest.json").write_text(json.dumps(manifest))
    with run_function(folder / "log.txt", root=str(root)) as running:
        running.wait_until_ready()
        yield running


def test_a_function_that_serves_its_release_passes(
    running_function: RunningFunction,
    tiny_release: TinyRelease,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = smoke(capsys, running_function.url, tiny_release.root)
    assert report["release_id"] == tiny_release.release_id
    assert len(report["photos"]) == 4
    # Each golden photo is a product's own photo.
    assert all(photo["score"] > 0.999 for photo in report["photos"])
    assert len({photo["product"] for photo in report["photos"]}) > 1


def test_what_a_bucket_holds_is_compared_as_well(
    running_function: RunningFunction,
    tiny_release: TinyRelease,
    gcs_emulator: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tiny_release.root / release_prefix(tiny_release.release_id)
    manifest = tiny_release.manifest
    storage = open_storage(f"{gcs_emulator}/shop")
    for photo in (tiny_release.root / IMAGES).iterdir():
        storage.upload(photo, f"{IMAGES}/{photo.name}")
    upload(LocalRelease(manifest, folder), storage)
    set_current(storage, tiny_release.release_id, None)
    report = smoke(capsys, running_function.url, f"{gcs_emulator}/shop")
    assert report["release_id"] == tiny_release.release_id


def test_answers_with_other_products_fail(
    tiny_release: TinyRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tiny_release, tmp_path, lambda rows: np.roll(rows, 2, axis=0)) as running:
        error = complaint(capsys, running.url, tiny_release.root)
    assert "expected a best score of" in error
    assert "send it no traffic" in error


def test_answers_with_other_scores_fail(
    tiny_release: TinyRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def halved(rows: Any) -> Any:
        return rows // 2 if rows.dtype.kind == "i" else rows / 2

    with serving(tiny_release, tmp_path, halved) as running:
        error = complaint(capsys, running.url, tiny_release.root)
    assert "found 0." in error
    assert "send it no traffic" in error


def test_another_release_than_the_current_one_fails_when_the_time_is_up(
    running_function: RunningFunction,
    tiny_release: TinyRelease,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "current.json").write_text('{"release_id": "20260101-newer"}')
    error = complaint(capsys, running_function.url, root, "--wait", "1")
    assert "expected release 20260101-newer" in error
    assert f"found {tiny_release.release_id}" in error


def test_a_damaged_golden_file_is_told_apart_from_a_wrong_answer(
    running_function: RunningFunction,
    tiny_release: TinyRelease,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny_release.root, root)
    golden = root / release_prefix(tiny_release.release_id) / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:-1])
    error = complaint(capsys, running_function.url, root)
    assert "golden.npz" in error
    assert "is damaged" in error


def test_it_waits_for_a_function_that_still_starts(
    tiny_release: TinyRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    found: list[Any] = []
    asking = Thread(
        target=lambda: found.append(
            smoke(capsys, f"http://127.0.0.1:{port}", tiny_release.root, "--wait", "60")
        )
    )
    asking.start()
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root), port=port):
        asking.join()
    assert found[0]["ready_seconds"] > 0.5


def test_nobody_there_is_told_when_the_time_is_up(
    tiny_release: TinyRelease, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    error = complaint(capsys, url, tiny_release.root, "--wait", "1")
    assert "cannot be reached" in error


def test_a_function_with_keys_wants_one(
    tiny_release: TinyRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["key", "smoke", "--json"])
    made = json.loads(capsys.readouterr().out)
    (tmp_path / "keys").write_text(made["line"])
    (tmp_path / "key").write_text(made["key"] + "\n")
    with run_function(
        tmp_path / "log.txt", root=str(tiny_release.root), api_keys=str(tmp_path / "keys")
    ) as running:
        assert "--key-file" in complaint(capsys, running.url, tiny_release.root)
        options = ("--key-file", str(tmp_path / "key"))
        assert len(smoke(capsys, running.url, tiny_release.root, *options)["photos"]) == 4


@contextmanager
def service(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server of our own; its address."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

    with answering(Handler) as port:
        yield f"http://127.0.0.1:{port}"


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def test_a_closed_service_wants_a_token(
    running_function: RunningFunction,
    tiny_release: TinyRelease,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def let_in(handler: BaseHTTPRequestHandler) -> None:
        """As the platform does in front of a closed service."""
        if handler.headers["Authorization"] != "Bearer eyJ.a.b":
            return reply(handler, 403, b"Forbidden")
        body = handler.rfile.read(int(handler.headers["Content-Length"] or 0))
        kind = {"Content-Type": handler.headers["Content-Type"] or ""}
        answer = running_function.request(handler.command, handler.path, body, kind)
        return reply(handler, answer.status, answer.body)

    (tmp_path / "token").write_text("eyJ.a.b")
    with service(let_in) as url:
        error = complaint(capsys, url, tiny_release.root)
        assert "the answer is not the function's own" in error
        assert "run.invoker" in error
        options = ("--token-file", str(tmp_path / "token"))
        assert len(smoke(capsys, url, tiny_release.root, *options)["photos"]) == 4


def test_a_token_does_not_follow_a_redirect(
    tiny_release: TinyRelease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def send_on(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        reply(handler, 302, b"", Location="/elsewhere")

    (tmp_path / "token").write_text("secret")
    with service(send_on) as url:
        options = ("--token-file", str(tmp_path / "token"))
        assert "answers 302" in complaint(capsys, url, tiny_release.root, *options)
    assert seen == ["/health/ready"]


@pytest.mark.parametrize("text", ["", "two words", "line\nbreak", "é"])
def test_what_is_no_token_is_refused_and_not_shown(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(text, encoding="utf-8")
    options = ("--token-file", str(tmp_path / "token"))
    error = complaint(capsys, "http://127.0.0.1:1", tmp_path, *options)
    assert "expected one word" in error
    assert "words" not in error
    assert "break" not in error
