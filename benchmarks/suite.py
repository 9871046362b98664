"""A suite: which strategies run on which tasks, fractions and restarts, under which protocol. A small TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from benchmarks.protocol import FIELDS, PROTOCOLS, make_protocol
from fisher.errors import InputError

FOLDER = Path(__file__).with_name("suites")
MAX_RESTARTS = 10_000
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class FisherRecipe:
    """How the scores of `fisher=estimate` are made; part of a trial's identity where its strategy needs them.

    corpus: a text file, one document a line, or HUB_ID[:config[:split]]; empty for pocket's own. objective `auto` is
    the checkpoint's own masked-LM head where it has one, else `mlm-tied`. max_length 0: the model's, at most 512.
    """

    corpus: str = ""
    samples: int = 200
    seed: int = 0
    objective: str = "auto"
    max_length: int = 0


@dataclass(frozen=True)
class Suite:
    """The whole request, resolved. `settings` are protocol fields that differ from the named protocol's."""

    name: str
    tasks: tuple[str, ...]
    strategies: tuple[str, ...]
    fractions: tuple[float, ...]
    restarts: int
    split_seeds: int = 1
    protocol: str = "lee20"
    model: str = ""
    description: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    fisher: FisherRecipe = field(default_factory=FisherRecipe)

    def to_toml(self) -> str:
        """The suite as a file that `--suite` reads back."""
        known = dataclasses.asdict(self)
        fisher, settings = known.pop("fisher"), dict(known.pop("settings"))
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}
        return tomli_w.dumps({**plain, "set": settings, "fisher": fisher})


SCALARS = {"name": str, "restarts": int, "split_seeds": int, "protocol": str, "model": str, "description": str}
LISTS = {"tasks": str, "strategies": str, "fractions": float}
REQUIRED = ("tasks", "strategies", "fractions", "restarts")


def builtin_suites() -> dict[str, Path]:
    """The suites that ship with the project, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def load_suite(name: str) -> Suite:
    """A built-in suite by name or a user's by its path. Raises InputError that names file and key."""
    suites = builtin_suites()
    path = suites.get(name, Path(name))
    if name not in suites and path.suffix != ".toml":
        near = difflib.get_close_matches(name, suites, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"unknown suite {name!r}; {hint}available: {', '.join(suites)}, or give a file that ends in .toml"
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: a suite must have at most {MAX_BYTES} bytes")
        content = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: the suite cannot be read ({error.strerror}); give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: a suite must be a TOML file: {error}") from None
    return read_suite(content, str(path), path.stem)


def read_suite(content: Mapping[str, Any], file: str, name: str) -> Suite:
    """A suite from parsed TOML; `file` stands in messages."""
    known = {**SCALARS, **LISTS, "set": dict, "fisher": dict}
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"{file}: unknown key {key!r}; {hint}available: {', '.join(known)}")
    for key in REQUIRED:
        if key not in content:
            raise InputError(f"{file}: the key {key!r} is missing; a suite must have {', '.join(REQUIRED)}")
    values: dict[str, Any] = {key: _scalar(file, key, content[key]) for key in SCALARS if key in content}
    values |= {key: _list(file, key, content[key]) for key in LISTS if key in content}
    settings, fisher = content.get("set", {}), content.get("fisher", {})
    for key, table in (("set", settings), ("fisher", fisher)):
        if not isinstance(table, dict):
            raise InputError(f"{file}: {key!r} must be a table of key = value, got {type(table).__name__}")
    try:
        return check_suite(Suite(**({"name": name} | values), settings=settings, fisher=make_recipe(fisher)))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _scalar(file: str, key: str, value: Any) -> Any:
    kind = SCALARS[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = "a whole number" if kind is int else "a text"
        raise InputError(f"{file}: {key!r} must be {wanted}, got {value!r}")
    return value


def _list(file: str, key: str, value: Any) -> tuple[Any, ...]:
    kinds = (str,) if LISTS[key] is str else (int, float)
    if not isinstance(value, list) or not all(isinstance(v, kinds) and not isinstance(v, bool) for v in value):
        wanted = "texts" if LISTS[key] is str else "numbers"
        raise InputError(f"{file}: {key!r} must be a list of {wanted}, got {value!r}")
    return tuple(float(v) if LISTS[key] is float else v for v in value)


def check_suite(suite: Suite) -> Suite:
    """The suite itself if its numbers make a grid; strategies and tasks are checked where they are parsed."""
    for key in ("tasks", "strategies", "fractions"):
        if not getattr(suite, key):
            raise InputError(f"{key} must name at least one, got none: the grid would be empty")
    for fraction in suite.fractions:
        if not 0 < fraction <= 1:
            raise InputError(f"fractions must be in (0, 1], got {fraction:g}")
    if not 1 <= suite.restarts <= MAX_RESTARTS:
        raise InputError(f"restarts must be in 1..{MAX_RESTARTS}, got {suite.restarts}")
    if not 1 <= suite.split_seeds <= suite.restarts:
        raise InputError(f"split_seeds must be in 1..restarts ({suite.restarts}), got {suite.split_seeds}")
    make_protocol(suite.protocol, suite.settings)
    return suite


def make_recipe(values: Mapping[str, Any]) -> FisherRecipe:
    """A Fisher recipe from a table or from `--set fisher_KEY=VALUE` texts."""
    kinds = {f.name: str(f.type) for f in dataclasses.fields(FisherRecipe)}
    read: dict[str, Any] = {}
    for key, value in values.items():
        if key not in kinds:
            raise InputError(f"unknown key fisher.{key}; available: {', '.join(kinds)}")
        try:
            read[key] = int(str(value)) if kinds[key] == "int" else str(value)
        except ValueError:
            raise InputError(f"fisher.{key} must be a whole number, got {value!r}") from None
        least = 1 if key == "samples" else 0
        if kinds[key] == "int" and read[key] < least:
            raise InputError(f"fisher.{key} must be at least {least}, got {read[key]}")
    return FisherRecipe(**read)


def override(suite: Suite, values: Mapping[str, Any], assignments: list[str]) -> Suite:
    """The suite with command-line values in place of its own; `assignments` are `key=value` texts.

    Naming another protocol drops the suite's own settings, which were made for its own.
    """
    changed = {key: value for key, value in values.items() if value is not None}
    settings = {} if changed.get("protocol", suite.protocol) != suite.protocol else dict(suite.settings)
    fisher = {k: v for k, v in dataclasses.asdict(suite.fisher).items()}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set must be given key=value, got {text!r}")
        if key.startswith("fisher_"):
            fisher[key.removeprefix("fisher_")] = value
        else:
            settings[key] = value
    protocol = make_protocol(changed.get("protocol", suite.protocol), settings)
    settings = {k: getattr(protocol, k) for k in FIELDS if getattr(protocol, k) != getattr(PROTOCOLS[protocol.name], k)}
    return check_suite(dataclasses.replace(suite, **changed, settings=settings, fisher=make_recipe(fisher)))
