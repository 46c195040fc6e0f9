"""Search in 60,502 and in 1,000,000 rows of 512 numbers, beside FAISS and hnswlib.

    python -m tests.benchmarks.search [--sizes shop million]

Every index is built once, written to .cache/benchmarks/search, and opened from there by a process
of its own, which asks the shop's 1,000 queries at several settings:

- ours: exact over float32 rows; the tree that `lookalike publish` builds, over float32 and over
  int8 rows; and what its tuner chose, for a recall of 0.99 (0.98 of the million);
- peers: FAISS flat, IVF-PQ fast-scan with refinement, and HNSW; hnswlib.

Recall at 10 is against exact search in float32. `ms` is the median of one query at a time on one
thread; `queries/s` are single queries from as many threads as there are processors. MB is what the
process gained by opening and searching, files that it mapped included. Two more tables: each
peer's time at our recall, and filters.
"""

from function.vectors import DATASET, ROTATION, SCALES
from tests.benchmarks.timing import FOLDER

SEARCH = FOLDER / "search"
TARGETS = {"shop": 0.99, "million": 0.98}
NEIGHBOURS = 10
OURS_EXACT, OURS_FLOAT32, OURS_INT8 = "ours, exact", "ours, float32 rows", "ours, int8 rows"
_VECTOR_FILES = (DATASET, SCALES, ROTATION)
_SHARES = (0.02, 0.03, 0.04, 0.06, 0.09, 0.14)
