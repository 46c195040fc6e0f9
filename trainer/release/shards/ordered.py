"""Work by several threads whose results come in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice


def in_order[T, R](
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterator[T], *, ahead: int
) -> Iterator[R]:
    """Yield results in the items' order while a bounded number of later ones is under way.

    Args:
        pool: does the work.
        work: on each item.
        items: taken as they are needed.
        ahead: how many at once: 1 or more.
    """
    pending: deque[Future[R]] = deque()
    try:
        while True:
            missing = ahead - len(pending)
            pending.extend(pool.submit(work, item) for item in islice(items, missing))
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
