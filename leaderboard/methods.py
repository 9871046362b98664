"""What strategies are, for readers of tables: `methods.json`, which a run writes beside its records.

    {"mixout(w_pre, 0.7)": [{"term", "name", "summary", "equation", "paper", "deviations", "cost", "settings"}, ...]}

One list of terms per strategy; every value is a text but `settings`, an object of texts (hyperparameter -> value). It
explains and decides nothing: no score depends on it, and tables are complete without.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leaderboard.records import RecordError
from leaderboard.text import escape

METHODS = "methods.json"
TEXTS = ("term", "name", "summary", "equation", "paper", "deviations", "cost")
MAX_BYTES = 4 * 1024 * 1024
MAX_TEXT = 4000

Methods = dict[str, list[dict[str, Any]]]


def read_methods(results: Iterable[Path | str]) -> tuple[Methods, list[RecordError]]:
    """Return strategy -> terms from the `methods.json` of every folder given, and the files that hold none.

    A record or a `records` folder stands for the folder that the run wrote. Of two descriptions of one strategy the
    first is kept.
    """
    methods: Methods = {}
    faults = []
    for folder in dict.fromkeys(map(folder_of, map(Path, results))):
        path = folder / METHODS
        if not path.is_file():
            continue
        try:
            methods = _read(path) | methods
        except RecordError as error:
            faults.append(RecordError(f"{escape(str(path))}: {error}", path))
    return methods, faults


def folder_of(given: Path) -> Path:
    """Return the folder of a run for what stands for its records: itself, its `records` folder, or one of them."""
    folder = given if given.is_dir() else given.parent
    return folder.parent if folder.name == "records" else folder


def encode_methods(methods: Mapping[str, Any]) -> bytes:
    """Return the file's bytes: sorted keys, one strategy after the other."""
    return (json.dumps(methods, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _read(path: Path) -> Methods:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        content = json.loads(data.decode("utf-8")) if len(data) <= MAX_BYTES else None
        json.dumps(content, ensure_ascii=False).encode("utf-8")  # refuses half of a surrogate pair, which is no text
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(_is_sum(terms) for terms in content.values()):
        raise RecordError(f"must be an object of lists of terms ({', '.join(TEXTS)}, settings)")
    return {name: [_term(term) for term in terms] for name, terms in content.items()}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _is_sum(terms: object) -> bool:
    return isinstance(terms, list) and len(terms) <= 100 and all(map(_is_term, terms))


def _is_term(term: object) -> bool:
    if not isinstance(term, dict) or not all(_is_text(term.get(key)) for key in TEXTS):
        return False
    settings = term.get("settings")
    return isinstance(settings, dict) and len(settings) <= 100 and all(map(_is_text, [*settings, *settings.values()]))


def _term(term: Mapping[str, Any]) -> dict[str, Any]:
    return {key: term[key] for key in (*TEXTS, "settings")}
