"""Memory of what is made in bulk and kept."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def kept_objects() -> Iterator[None]:
    """Make what stays to the end, such as a large grid, without looking through it again and again for garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
