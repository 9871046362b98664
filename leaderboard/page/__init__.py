"""The leaderboard as one self-contained page: `index.html`, which needs no network and no server.

Template, style and scripts next to this file are joined with what `leaderboard.page.data` keeps of `leaderboard.json`.
The scripts become one inline module without imports, in which a name that is defined twice is a syntax error, and the
page's own policy allows that module and that style sheet alone, by their hashes. Texts of records are data: they are in
a compressed block of which no text can be a part, and the scripts only ever write them as text.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from leaderboard.page.data import page_data
from leaderboard.records.methods import Methods

SCRIPTS = (
    *("dom", "text", "table", "data", "choice", "marks"),
    *("charts", "verdict", "cell", "tuning", "ranking", "compare", "published", "about", "main"),
)


def html(document: Mapping[str, Any], methods: Methods, *, records: str | None = None) -> str:
    """Return the page.

    Args:
        document: content of `leaderboard.json`.
        methods: what strategies are, for their views.
        records: where the records lie as seen from the page (`records/`); None shows their ids without links.
    """
    data = json.dumps(page_data(document, methods, records), allow_nan=False, separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(data.encode("ascii"), 9)).decode("ascii")
    parts = {"style": f"\n{_read('style.css')}", "script": f"\n{script()}"}
    hashes = {f"{name}-hash": _hash(content) for name, content in parts.items()}
    page = _read("template.html")
    for name, content in {**hashes, **parts, "data": packed}.items():
        page = page.replace(f"/*{name}*/", content, 1)
    return page


def script() -> str:
    """Return the page's module: all scripts in one scope."""
    return "\n".join(_read(f"scripts/{name}.js") for name in SCRIPTS)


def _hash(content: str) -> str:
    """Return the hash by which a content security policy knows an inline script or style."""
    return base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")


def _read(name: str) -> str:
    return (resources.files(__name__) / name).read_text(encoding="utf-8")
