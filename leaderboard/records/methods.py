"""What strategies are, for readers of tables: `methods.json`, which a run writes next to its records.

    {"mixout(w_pre, 0.7)": [{"term", "name", "summary", "equation", "paper", "deviations", "cost", "settings"}, ...]}

One list of terms per strategy; every value is a text but `settings`, an object of texts (hyperparameter -> value). It
explains and decides nothing: no score depends on it, and tables are complete without.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leaderboard.records.files import read_companion
from leaderboard.records.schema import RecordError

METHODS = "methods.json"
TEXTS = ("term", "name", "summary", "equation", "paper", "deviations", "cost")
MAX_TEXT = 4000

Methods = dict[str, list[dict[str, Any]]]


def read_methods(results: Iterable[Path | str]) -> tuple[Methods, list[RecordError]]:
    """Return strategy -> terms from the `methods.json` of every folder given, and the files that hold none.

    A record or a `records` folder stands for the folder that the run wrote. Of two descriptions of one strategy the
    first is kept.
    """
    wanted = f"an object of lists of terms ({', '.join(TEXTS)}, settings)"
    found, faults = read_companion(results, METHODS, _methods_of, wanted)
    return {name: terms for methods in reversed(found) for name, terms in methods.items()}, faults


def encode_methods(methods: Mapping[str, Any]) -> bytes:
    """Return the file's bytes: sorted keys, one strategy after the other."""
    return (json.dumps(methods, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _methods_of(content: Any) -> Methods:
    json.dumps(content, ensure_ascii=False).encode("utf-8")  # refuses half of a surrogate pair, which is no text
    if not isinstance(content, dict) or not all(_is_sum(terms) for terms in content.values()):
        raise ValueError
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
