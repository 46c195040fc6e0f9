"""What this process counts and times, for Prometheus.

Nothing of a photo, a product or a caller is in it; the release and its versions are those that
`/v1/index` tells. How many searches a shop gets is its own business, and a platform's front end
passes every path on: so `GET /metrics` answers only processes of the same machine, such as a
collector beside the function, until LOOKALIKE_PUBLIC_METRICS is on.
"""

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from .admission import Admission
from .prometheus import Counter, Histogram, gauge_lines
from .service import Service
from .worker import Worker

# From a search in a small index to one that waits for a release to load.
BOUNDS_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0),
)

_MEMORY = Path("/proc/self/statm")


class Metrics:
    """Of one process.

    Args:
        admission: who runs and waits.
        worker: what is loaded.
    """

    def __init__(self, admission: Admission, worker: Worker[Service]) -> None:
        self._admission = admission
        self._worker = worker
        self._requests = Counter("lookalike_requests_total", "Answers, by route and status.")
        self._errors = Counter("lookalike_errors_total", "Answers that were errors, by reason.")
        self._latency = Histogram(
            "lookalike_request_seconds", "From a request to its answer, by route.", BOUNDS_SECONDS
        )
        self._stages = Histogram(
            "lookalike_stage_seconds", "Stages of a request, by name.", BOUNDS_SECONDS
        )

    def observe(
        self,
        *,
        route: str,
        status: int,
        reason: str,
        seconds: float,
        stages_ms: Mapping[str, float],
    ) -> None:
        """Count an answer.

        Args:
            route: the path's pattern, or "unknown": one of few.
            status: of HTTP.
            reason: the error's; "" where there was none.
            seconds: from the request to the answer.
            stages_ms: milliseconds of each stage.
        """
        self._requests.add(route=route, status=str(status))
        self._latency.observe(seconds, route=route)
        if reason:
            self._errors.add(reason=reason)
        for stage, spent in stages_ms.items():
            self._stages.observe(spent / 1e3, stage=stage)

    def text(self) -> str:
        """Return all of it in Prometheus' text format."""
        counted = (self._requests, self._errors, self._latency, self._stages)
        return "".join(chain(*(one.lines() for one in counted), self._now()))

    def _now(self) -> Iterator[str]:
        yield from gauge_lines(
            "lookalike_searches_running", "Searches that compute.", ({}, self._admission.running)
        )
        yield from gauge_lines(
            "lookalike_searches_queued", "Searches that wait.", ({}, self._admission.queued)
        )
        if self._worker.is_ready:
            yield from self._loaded(self._worker.get())
        if _MEMORY.exists():
            pages = int(_MEMORY.read_text().split()[1])
            yield from gauge_lines(
                "process_resident_memory_bytes",
                "Memory that this process holds.",
                ({}, pages * os.sysconf("SC_PAGE_SIZE")),
            )

    def _loaded(self, service: Service) -> Iterator[str]:
        manifest = service.engine.manifest
        yield from gauge_lines(
            "lookalike_release_info",
            "What is served.",
            (
                {
                    "release": manifest.release_id,
                    "model": manifest.model.model_id,
                    "index": manifest.index.index_id,
                    "index_kind": manifest.index.kind,
                },
                1,
            ),
        )
        yield from gauge_lines(
            "lookalike_cold_start_seconds",
            "How long the release took to load, by stage; some run side by side.",
            *(({"stage": stage}, ms / 1e3) for stage, ms in self._worker.timings_ms.items()),
        )
