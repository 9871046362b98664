"""`regbench describe`: `python -m regularizers describe` to which the name `pocket` is known."""

import sys
from collections.abc import Sequence

from benchmarks.pocket import MODEL_DIR
from regularizers.__main__ import main as main_of_regularizers
from regularizers.__main__ import parsers

__all__ = ["main", "parsers"]
EMBEDDED = {"pocket": str(MODEL_DIR), "--model=pocket": f"--model={MODEL_DIR}"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `--model pocket` is the folder of the embedded model."""
    words = list(sys.argv[1:] if argv is None else argv)
    return main_of_regularizers([EMBEDDED.get(word, word) for word in words])
