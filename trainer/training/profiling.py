"""A trace of some steps: what the device and the host did, microsecond by microsecond."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

from function.storage import Storage

# The first steps compile and fill caches; a few after them show what all others do.
FIRST_STEP, STEPS = 10, 5


@contextmanager
def profiler(storage: Storage | None, start_step: int) -> Iterator[Callable[[int, object], None]]:
    """Give a function to be called before each step, which starts and ends the trace.

    It takes the step's number, and arrays that the step before gives: the host runs ahead of the
    device, and a trace waits for the steps that it leaves out, and for those that it holds.

    The trace is TensorBoard's (`plugins/profile/…`), with a `perfetto_trace.json.gz` that
    https://ui.perfetto.dev opens.

    Args:
        storage: where it goes; None: there is none.
        start_step: the first step of this process. Steps `start_step + 10` to `+ 14` are traced.
    """
    if storage is None:
        yield lambda step, running: None
        return
    with tempfile.TemporaryDirectory() as folder:
        tracing = False

        def before(step: int, running: object) -> None:
            nonlocal tracing
            if step == start_step + FIRST_STEP:
                jax.block_until_ready(running)  # type: ignore[no-untyped-call]
                jax.profiler.start_trace(folder, create_perfetto_trace=True)
                tracing = True
            elif tracing and step == start_step + FIRST_STEP + STEPS:
                jax.block_until_ready(running)  # type: ignore[no-untyped-call]
                end()

        def end() -> None:
            nonlocal tracing
            tracing = False
            jax.profiler.stop_trace()
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    storage.upload(path, path.relative_to(folder).as_posix())

        try:
            yield before
        finally:
            if tracing:
                end()
