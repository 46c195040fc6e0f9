"""Publishes a built release again and again, and dies each time at another place.

    python -m tests.trainer.release.killed_publisher BUILT TEMPLATE OUT (event|byte) FIRST STEP LAST

BUILT is a release's folder, TEMPLATE a root, and OUT/N becomes the root of a publisher that was
killed before its Nth change of a file or folder below the root ("event"), or by the kernel when a
file reached N bytes ("byte"). "full" instead makes the Nth byte an error, as a full disk does.
Each publisher is forked from this process, which has neither threads nor JAX. One that outlives its
death ends the series, and a line for each tells its wait status.
"""

import os
import resource
import shutil
import signal
import sys
from itertools import count
from pathlib import Path

from function.manifest import MANIFEST
from function.manifest_file import parse_manifest
from function.release import LocalRelease, read_pointer
from function.storage import StorageError, open_storage
from trainer.release.publication import build_and_publish

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def publish(built: Path, root: Path) -> None:
    """Publish what is built; the same release each time."""
    release = LocalRelease(parse_manifest((built / MANIFEST).read_bytes()), built)
    storage = open_storage(root)
    build_and_publish(storage, read_pointer(storage), lambda folder: release)


def die_before_change(number: int, root: Path) -> None:
    """Let this process be killed before it changes something below a root the Nth time."""
    changes = count(1)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        if not opened and event not in _CHANGES:
            return
        here = event == "fcntl.flock" or str(arguments[0]).startswith(str(root))
        if here and next(changes) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def die_at_byte(number: int, *, killed: bool) -> None:
    """Let this process be killed, or get an error, when a file of its reaches so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if killed else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))


def main() -> None:
    built, template, out, kind = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]
    first, step, last = map(int, sys.argv[5:])
    for number in range(first, last + 1, step):
        root = out / str(number)
        shutil.copytree(template, root)
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            if kind == "event":
                die_before_change(number, root)
            else:
                die_at_byte(number, killed=kind == "byte")
            try:
                publish(built, root)
            except StorageError:
                os._exit(28)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(number, os.waitstatus_to_exitcode(status), flush=True)
        # It has come through, or failed as none should: the test will say.
        if os.waitstatus_to_exitcode(status) >= 0:
            break


if __name__ == "__main__":
    main()
