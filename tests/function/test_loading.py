"""What is loaded beside a release that serves: only what differs, and so that searches feel little.

Niceness is a thread's own on Linux alone.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import function.service
from function.admission import Admission
from function.file_index import FileIndex
from function.loading import load_release, load_search_engine
from function.metrics import Metrics
from function.nursery import Nursery
from function.pacing import Pacing
from function.processor import stand_back
from function.proposing import Proposers
from function.search import SearchEngine
from function.service import Services
from function.settings import Settings, variable
from function.storage import open_storage
from function.telemetry import Stopwatch
from tests.executors import CountingExecutor
from tests.releases import TinyRelease
from tests.successors import add_successor, point_at, retitle, rewrite_index, rewrite_program

CHANGES = {
    "titles": (retitle("other"),),
    "index": (rewrite_index,),
    "program": (rewrite_program,),
    "all": (retitle("other"), rewrite_index, rewrite_program),
}


@pytest.fixture(scope="module")
def root(tiny_release: TinyRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("loading") / "root"
    shutil.copytree(tiny_release.root, root)
    for name, changes in CHANGES.items():
        add_successor(root, tiny_release.release_id, name, *changes)
    return root


@pytest.fixture(scope="module")
def held(root: Path) -> SearchEngine:
    return load_search_engine(open_storage(root), engine="openvino", cache_dir=root)


def beside(
    root: Path,
    held: SearchEngine,
    name: str,
    pacing: Pacing,
    stopwatch: Stopwatch | None = None,
) -> SearchEngine:
    return load_release(
        open_storage(root),
        name,
        engine="openvino",
        cache_dir=root,
        held=held,
        pacing=pacing,
        stopwatch=stopwatch,
    )


@pytest.mark.parametrize("name", CHANGES)
def test_parts_go_on_where_they_are_the_same(root: Path, held: SearchEngine, name: str) -> None:
    engine = beside(root, held, name, Pacing())
    assert engine.manifest.release_id == name
    assert (engine.embedder is held.embedder) == (name in ("titles", "index"))
    assert isinstance(engine.index, FileIndex)
    assert isinstance(held.index, FileIndex)
    assert (engine.index.index is held.index.index) == (name in ("titles", "program"))
    assert engine.catalog is not held.catalog
    assert {engine.catalog.product("p0").title} == (
        {"other"} if name in ("titles", "all") else {"Product 0"}
    )


def test_pauses_come_before_each_photo_and_the_query(root: Path, held: SearchEngine) -> None:
    pauses = dict.fromkeys(CHANGES, 0)
    for name in CHANGES:

        def pause(name: str = name) -> None:
            pauses[name] += 1

        beside(root, held, name, Pacing(pause=pause))
    assert set(pauses.values()) == {held.manifest.golden.photos + 1}


def test_the_function_infers_in_one_thread_whatever_it_serves(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tmp_path / "root"
    shutil.copytree(root, at)
    with CountingExecutor() as inferring:
        monkeypatch.setattr(function.service, "ThreadPoolExecutor", lambda *_, **__: inferring)
        admission = Admission(running=1, waiting=0)
        services = Services(
            Settings.from_environment(
                {variable("root"): str(at), variable("cache_dir"): str(tmp_path)}
            ),
            Metrics(admission),
            admission,
            Proposers(Nursery({}), 1),
        )
        first = services.first()
        # The golden photos, and a query.
        tried = first.engine.manifest.golden.photos + 1
        assert inferring.given == tried
        point_at(at, "program")
        assert services.next(first).engine.embedder is not first.engine.embedder
        assert inferring.given == 2 * tried


class Witness(Stopwatch):
    """Remembers when stages begin and end."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.seen.append(f"begin {name}")
        with super().stage(name):
            yield
        self.seen.append(f"end {name}")


def test_beside_others_parts_are_loaded_one_after_another(root: Path, held: SearchEngine) -> None:
    witness = Witness()
    beside(root, held, "all", Pacing(side_by_side=False), witness)
    assert witness.seen.index("end open program") < witness.seen.index("begin fetch index")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a thread's niceness")
def test_hashing_and_compiling_stand_back_and_the_rest_does_not(
    root: Path, held: SearchEngine
) -> None:
    here = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, here)
    nice: list[int] = []

    def begin_thread() -> None:
        stand_back()
        nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    beside(root, held, "all", Pacing(begin_thread))
    # One that compiles, and some that hash.
    assert len(nice) > 1
    assert set(nice) == {19}
    assert os.getpriority(os.PRIO_PROCESS, here) == before


INFERENCE = """
import sys, threading
from pathlib import Path
import numpy as np
from function.embedder import open_embedder
from function.processor import stand_back

def spent():
    # By thread: its niceness, and the ticks that it computed.
    found = {}
    for task in Path("/proc/self/task").iterdir():
        values = (task / "stat").read_text().rpartition(")")[2].split()
        found[task.name] = int(values[16]), int(values[11]) + int(values[12])
    return found

def embed(embedder, times):
    for _ in range(times):
        embedder.embed(np.zeros((1, embedder.image_size, embedder.image_size, 3), np.uint8))

folder = Path(sys.argv[1])
embed(open_embedder(folder, "openvino"), 3)
opened = []
thread = threading.Thread(
    target=lambda: (stand_back(), opened.append(open_embedder(folder, "openvino")))
)
thread.start()
thread.join()
embed(opened[0], 3)
before = spent()
embed(opened[0], 500)
after = spent()
print(sum(ticks - before.get(name, (0, 0))[1] for name, (nice, ticks) in after.items() if nice))
print(sum(ticks - before.get(name, (0, 0))[1] for name, (nice, ticks) in after.items() if not nice))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for threads")
def test_a_program_that_was_compiled_standing_back_answers_as_fast_as_any(
    root: Path, tiny_release: TinyRelease
) -> None:
    if os.getpriority(os.PRIO_PROCESS, 0):
        pytest.skip("this process itself is nice: nothing can be told apart")
    folder = root / "releases" / tiny_release.release_id
    done = subprocess.run(
        [sys.executable, "-c", INFERENCE, str(folder)], capture_output=True, text=True, check=True
    )
    behind, normal = map(int, done.stdout.split())
    assert behind == 0
    assert normal > 0
