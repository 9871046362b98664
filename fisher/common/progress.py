"""A live bar on a terminal, plain lines otherwise: both to standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]  # called with the number done so far
SECONDS = 10.0  # between plain lines


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show how many of `total` are done, the rate and the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    live = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=not live) as bar:
        task = bar.add_task(label, total=total)
        yield (lambda done: bar.update(task, completed=done)) if live else plain_lines(label, total)


def plain_lines(label: str, total: int) -> Advance:
    start = last = time.monotonic()
    first: int | None = None

    def advance(done: int) -> None:
        nonlocal last, first
        now = time.monotonic()
        first = done if first is None else first
        if done >= total or now - last >= SECONDS:
            rate = (done - first) / max(now - start, 1e-9)
            left = f", about {(total - done) / rate:.0f} s left" if rate > 0 and done < total else ""
            print(f"{label}: {done} of {total}, {now - start:.0f} s{left}", file=sys.stderr, flush=True)
            last = now

    return advance
