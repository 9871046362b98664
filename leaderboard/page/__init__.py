"""The leaderboard as one self-contained page: `index.html`, which needs no network and no server.

Template, style and scripts beside this file are put together with the content of `leaderboard.json`; the scripts draw
everything in the reader's browser. Texts of records are data: they stand in a JSON block that no text can end, and the
scripts only ever write them as text.
"""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from leaderboard.records.methods import Methods
from leaderboard.stats.intervals import tail

LIBRARY = ("statistics.js", "elements.js", "drawing.js", "charts.js", "ranks.js")
SCRIPTS = (*LIBRARY, "controls.js", "answer.js", "tables.js", "compare.js", "published.js", "strategy.js", "page.js")
_UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def html(document: Mapping[str, Any], methods: Methods, *, records: str | None = None) -> str:
    """Return the page.

    Args:
        document: content of `leaderboard.json`.
        methods: what strategies are, for their views.
        records: where the records lie as seen from the page (`records/`); None shows their ids without links.
    """
    restarts = {
        len(row["trials"]) for section in document["sections"] for cell in section["cells"] for row in cell["rows"]
    }
    data = {
        "leaderboard": document,
        "methods": methods,
        "records": records,
        "tails": {str(count): tail(count) for count in range(2, max(restarts, default=0) + 1)},
    }
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_UNSAFE)
    parts = {"style": _read("style.css"), "script": "\n".join(map(_read, SCRIPTS)), "data": text}
    page = _read("template.html")
    for name, content in parts.items():
        page = page.replace(f"/*{name}*/", content, 1)
    return page


def _read(name: str) -> str:
    return (resources.files(__name__) / name).read_text(encoding="utf-8")
