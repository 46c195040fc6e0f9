"""A decoder that crashes, or takes too much, costs its own request alone, at the real server."""

import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.answers import PHOTO, assert_refused, results
from tests.hostile_photos import ENDLESS, OUTCOMES, SIDE, TOO_LARGE, jpeg, png, png_chunk
from tests.processes import children, needs_proc, nursery_of, worker_of
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from tests.waiting import eventually

pytestmark = needs_proc

# Some tenths of a second, and as much memory as a photo may take that is not interlaced.
SLOW = png(SIDE, SIDE, 6, interlaced=True)


@pytest.fixture(scope="module")
def isolated(
    tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFunction]:
    log = tmp_path_factory.mktemp("isolated") / "log.txt"
    chosen = {"max_running": "2", "deadline_seconds": "60"}
    with run_function(log, root=str(tiny_release.root), **chosen) as running:
        running.wait_until_ready()
        assert results(running.search(PHOTO))
        yield running


def decoders_of(running: RunningFunction) -> list[int]:
    return children(nursery_of(running))


def resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def busy(running: RunningFunction) -> int:
    """The decoder that is at work on `SLOW`."""
    found: list[int] = []

    def works() -> bool:
        found[:] = [one for one in decoders_of(running) if resident_bytes(one) > 150e6]
        return bool(found)

    eventually(works)
    return found[0]


def assert_answers(running: RunningFunction) -> None:
    worker = worker_of(running)
    assert results(running.search(PHOTO))
    assert worker_of(running) == worker


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_decoder_that_crashes_costs_its_own_request_alone(
    isolated: RunningFunction, how: signal.Signals
) -> None:
    expected = results(isolated.search(PHOTO))
    with ThreadPoolExecutor(1) as pool:
        search = pool.submit(isolated.search, SLOW)
        victim = busy(isolated)
        os.kill(victim, how)
        # The other place is still there, whatever happens in this one.
        assert results(isolated.search(PHOTO)) == expected
        error = assert_refused(search.result(), 400, "IMAGE_UNREADABLE")
    assert "decoder failed" in error["message"]
    assert_answers(isolated)
    assert victim not in decoders_of(isolated)
    said = f"A process was ended that decodes photos: {how.name}."
    eventually(lambda: said in isolated.log.read_text())


def test_a_decoder_that_ends_while_it_has_nothing_to_do_costs_no_request(
    isolated: RunningFunction,
) -> None:
    for one in decoders_of(isolated):
        os.kill(one, signal.SIGKILL)
    eventually(lambda: not decoders_of(isolated))
    assert_answers(isolated)


def test_a_decoder_that_wants_more_memory_than_it_may_have_is_refused_it(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    # A busy machine is slow: here nobody is given up.
    chosen = {"max_image_pixels": str(10**9), "deadline_seconds": "60"}
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root), **chosen) as running:
        running.wait_until_ready()
        assert_answers(running)
        # One byte a pixel, which become four, and then four more.
        wide = png(13_000, 13_000, 3, before=png_chunk(b"tRNS", bytes(16)))
        error = assert_refused(running.search(wide), 400, "IMAGE_UNREADABLE")
        assert "more memory" in error["message"]
        assert_answers(running)


def test_a_decoder_that_takes_longer_than_it_may_is_ended(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    with run_function(
        tmp_path / "log.txt", root=str(tiny_release.root), deadline_seconds="0.2"
    ) as running:
        running.wait_until_ready()
        assert_refused(running.search(SLOW), 504, "DEADLINE_EXCEEDED")
        # The process that forked it says so, maybe after the answer.
        eventually(lambda: "SIGALRM" in running.log.read_text())
        assert worker_of(running)


def test_a_decoder_that_stands_still_holds_its_own_request_no_longer_than_the_deadline(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    with run_function(
        tmp_path / "log.txt", root=str(tiny_release.root), deadline_seconds="2"
    ) as running:
        running.wait_until_ready()
        assert_answers(running)
        (still,) = decoders_of(running)
        # Not even its alarm ends it then.
        os.kill(still, signal.SIGSTOP)
        assert_refused(running.search(PHOTO), 504, "DEADLINE_EXCEEDED")
        assert_answers(running)
        os.kill(still, signal.SIGCONT)
        eventually(lambda: still not in decoders_of(running))


def test_without_the_process_that_forks_decoders_the_worker_is_replaced(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root)) as running:
        running.wait_until_ready()
        worker = worker_of(running)
        nursery = nursery_of(running)
        os.kill(nursery, signal.SIGKILL)
        eventually(lambda: ") Z " in Path(f"/proc/{nursery}/stat").read_text())
        answer = running.search(PHOTO)
        assert_refused(answer, 503, "LOADING")
        assert int(answer.headers["Retry-After"]) > 0
        eventually(lambda: worker not in children(running.process.pid))
        running.wait_until_ready()
        assert_answers(running)


def test_no_process_is_left_behind(tiny_release: TinyRelease, tmp_path: Path) -> None:
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root)) as running:
        running.wait_until_ready()
        assert_answers(running)
        family = [worker_of(running), nursery_of(running), *decoders_of(running)]
        assert len(family) == 3
        port = running.port
        # It could not tell anybody.
        os.kill(family[0], signal.SIGKILL)
        eventually(lambda: not any(Path(f"/proc/{one}").exists() for one in family))
        running.wait_until_ready()
        family = [worker_of(running), nursery_of(running)]
        # What the server listens at is not its decoders'.
        listening = f":{port:04X} "
        assert listening in Path(f"/proc/{family[1]}/net/tcp").read_text()
        opened = [str(one.readlink()) for one in Path(f"/proc/{family[1]}/fd").iterdir()]
        assert len([name for name in opened if name.startswith("socket:")]) == 1
    eventually(lambda: not any(Path(f"/proc/{one}").exists() for one in family))


@pytest.mark.parametrize("name", ["PNG, a million empty chunks", "GIF, 65,535 by 65,535"])
def test_a_refusal_comes_back_from_a_decoder_as_it_was_said(
    isolated: RunningFunction, name: str
) -> None:
    group = TOO_LARGE if name in TOO_LARGE else ENDLESS
    answer = isolated.search(group[name]())
    error = assert_refused(answer, 400, OUTCOMES[name])
    assert ("limit" in error["details"][0]["metadata"]) == (name in TOO_LARGE)


def test_a_region_beyond_the_photo_is_refused_by_its_own_reason(isolated: RunningFunction) -> None:
    far = '{"vertices": [{"x": 900, "y": 900}, {"x": 950, "y": 900}, {"x": 950, "y": 950}]}'
    assert_refused(isolated.search(jpeg(), boundingPoly=far), 400, "POLYGON_INVALID")


def test_photos_are_the_same_whoever_decodes_them(
    isolated: RunningFunction, tiny_release: TinyRelease, tmp_path: Path
) -> None:
    photos = [PHOTO, jpeg((2000, 1500)), png(300, 200, 3), png(5, 3, 6, bits=16)]
    with run_function(
        tmp_path / "log.txt", root=str(tiny_release.root), decoding="thread"
    ) as running:
        running.wait_until_ready()
        for photo in photos:
            there, here = (results(one.search(photo)) for one in (running, isolated))
            for name in ("product", "score", "image"):
                assert [result[name] for result in there] == [result[name] for result in here]
        assert not decoders_of(running)
