"""Suites as small TOML files: read, checked, and overridden by the command line.

A table that mixes protocols has `[[variants]]`: each sets some of `AXES` in place of the suite's own and lays its own
`set` over the suite's; the trials of a suite are those of all its variants, each once. A variant that names another
protocol starts from that protocol, without the suite's settings, which were made for its own.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.data.readers import typed
from benchmarks.data.tasks import Task, find_task
from benchmarks.planning.names import read_suite_toml
from benchmarks.planning.suite import AUTO, FisherRecipe, Suite, Tuning, Variant
from benchmarks.trial.protocol import FIELDS, PROTOCOLS, make_protocol, read
from benchmarks.tuning.families import read_family
from benchmarks.tuning.table import around, check_tuning, read_tuning
from fisher.common.errors import named, require, require_known
from fisher.pretraining.objectives import OBJECTIVES
from leaderboard.records.schema import MAX_RESTARTS, MIN_FRACTION
from regularizers.strategy import parse

TABLES = {"set": "settings", "fisher": "fisher", "tuning": "tuning", "variants": "variants"}  # key -> field
TYPES = {f.name: str(f.type) for f in dataclasses.fields(Suite) if f.name not in TABLES.values()}
REQUIRED = ("tasks", "restarts")
AMOUNTS = ("fractions", "sizes", "per_class")
AXES = (*REQUIRED, "strategies", *AMOUNTS, "split_seeds", "protocol")


def load_suite(name: str, own: Task | None = None) -> Suite:
    """A built-in suite by name or a user's by its path, tasks and strategies in their canonical spelling.

    `own` is a task of the user's that it may name. Raises InputError that names file and key.
    """
    path, content = read_suite_toml(name)
    with named(path):
        return _read(content, path.stem, own)


def _read(content: Mapping[str, Any], name: str, own: Task | None) -> Suite:
    require_known("key", content, (*TYPES, *TABLES))
    variants = _variants(content.get("variants"), own)
    for key in REQUIRED:
        require(
            key in content or (variants and all(key in variant.values for variant in variants)),
            f"the key {key!r} is missing; a suite must have {', '.join(REQUIRED)}",
        )
    fisher = make_recipe(typed("'fisher'", "Mapping", content.get("fisher", {})))
    settings = typed("'set'", "Mapping", content.get("set", {}))
    tuning = read_tuning(typed("'tuning'", "Mapping", content["tuning"])) if "tuning" in content else None
    values = {"name": name} | _values(content, own)
    return check_suite(Suite(**values, settings=settings, fisher=fisher, tuning=tuning, variants=variants))


def _variants(blocks: Any, own: Task | None) -> tuple[Variant, ...]:
    if blocks is None:
        return ()
    require(
        isinstance(blocks, list) and blocks and all(isinstance(block, dict) for block in blocks),
        "'variants' must be one or more tables, each under [[variants]]",
    )
    variants = []
    for number, block in enumerate(blocks, start=1):
        with named(f"variant {number}"):
            require_known("key", block, ("name", *AXES, "set"))
            values = _values(block, own)
            variants.append(
                Variant(values.pop("name", str(number)), values, typed("'set'", "Mapping", block.get("set", {})))
            )
    return tuple(variants)


def _values(content: Mapping[str, Any], own: Task | None) -> dict[str, Any]:
    """Everything but tables, each of its type."""
    values: dict[str, Any] = {key: typed(repr(key), TYPES[key], content[key]) for key in TYPES if key in content}
    spell = {"tasks": lambda text: find_task(text, own).name, "strategies": lambda text: str(parse(text))}
    for key in spell.keys() & values.keys():
        with named(key):
            values[key] = tuple(dict.fromkeys(map(spell[key], values[key])))
    return values


def check_suite(suite: Suite) -> Suite:
    """The suite itself if every block of it makes a grid."""
    for block in suite.blocks():
        _check_block(block)
    require(
        not (suite.predict_test and any(block.settings.get("selection") == "best_dev" for block in suite.blocks())),
        "predict_test must go with selection=last: the weights of an earlier epoch are not kept",
    )
    return suite


def _check_block(suite: Suite) -> None:
    require(suite.tasks, "tasks must name at least one", "none: the grid would be empty")
    require(
        suite.strategies or suite.tuning is not None,
        "strategies must name at least one",
        "none: the grid would be empty",
    )
    require(suite.amounts(), f"one of {', '.join(AMOUNTS)} must name at least one", "none: the grid would be empty")
    for key in ("sizes", "per_class"):
        least = min(getattr(suite, key), default=1)
        require(least >= 1, f"{key} must be at least 1", least)
    for fraction in suite.fractions:
        limit = f" and at least {MIN_FRACTION:g}" if 0 < fraction < 1 else ""
        require(MIN_FRACTION <= fraction <= 1, f"fractions must be in (0, 1]{limit}", f"{fraction:g}")
    require(1 <= suite.restarts <= MAX_RESTARTS, f"restarts must be in 1..{MAX_RESTARTS}", suite.restarts)
    require(
        suite.split_seeds is None or 1 <= suite.split_seeds <= suite.restarts,
        f"split_seeds must be in 1..restarts ({suite.restarts})",
        suite.split_seeds,
    )
    protocol = make_protocol(suite.protocol, suite.settings)
    if suite.tuning is not None:
        check_tuning(suite.tuning, protocol)


def make_recipe(values: Mapping[str, Any]) -> FisherRecipe:
    """A Fisher recipe from a table or from `--set fisher_KEY=VALUE` texts."""
    kinds = {f.name: str(f.type) for f in dataclasses.fields(FisherRecipe)}
    require_known("key of fisher", values, kinds)
    made = {key: read(f"fisher.{key}", value, kinds[key]) for key, value in values.items()}
    for key, least in (("samples", 1), ("seed", 0), ("max_length", 0)):
        require(made.get(key, least) >= least, f"fisher.{key} must be at least {least}", made.get(key))
    recipe, known = FisherRecipe(**made), (AUTO, *OBJECTIVES)
    require(recipe.objective in known, f"fisher.objective must be one of {', '.join(known)}", repr(recipe.objective))
    return recipe


def override(suite: Suite, values: Mapping[str, Any], assignments: list[str]) -> Suite:
    """The suite, and each of its variants, with command-line values in place of its own.

    `assignments` are `key=value` texts. Naming another protocol drops settings, which were made for their own.
    """
    changed = {key: value for key, value in values.items() if value is not None}
    fisher: dict[str, Any] = dataclasses.asdict(suite.fisher)
    assigned: dict[str, Any] = {}
    for text in assignments:
        key, value = read_assignment(text)
        if key in ("predict_test", "forgetting"):
            changed[key] = read(key, value, "bool")
        elif key.startswith("fisher_"):
            fisher[key.removeprefix("fisher_")] = value
        else:
            assigned[key] = value
    name = changed.get("protocol", suite.protocol)
    settings = _settings(name, ({} if name != suite.protocol else dict(suite.settings)) | assigned)
    variants = tuple(_override_variant(suite, variant, changed, assigned) for variant in suite.variants)
    plain = dataclasses.replace(suite, **changed, settings=settings, fisher=make_recipe(fisher), variants=variants)
    return check_suite(plain)


def tune(suite: Suite, budget: int | None, strategies: Sequence[str]) -> Suite:
    """The suite with `budget` configurations of every strategy, its own budget where that is None.

    Strategies given, or else those of a suite without a `[tuning]` table, are families: what they leave open is
    searched, and next to it the learning rate around the protocol's.
    """
    own = suite.tuning
    texts = strategies or (suite.every("strategies") if own is None else own.families)
    families = tuple(dict.fromkeys(str(read_family(text)) for text in texts))
    base = own or Tuning(shared=around(make_protocol(suite.protocol, suite.settings)))
    tuning = dataclasses.replace(base, families=families, budget=base.budget if budget is None else budget)
    kept = suite.strategies if own is not None and not strategies else ()
    variants = tuple(
        dataclasses.replace(v, values={key: value for key, value in v.values.items() if key != "strategies"})
        for v in suite.variants
    )
    return check_suite(dataclasses.replace(suite, tuning=tuning, strategies=kept, variants=variants))


def read_assignment(text: str) -> tuple[str, str]:
    """Key and value of what stands after `--set`."""
    key, equals, value = text.partition("=")
    require(equals, "--set must be given key=value", repr(text))
    return key, value


def _settings(protocol: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in which the named protocol with these settings differs from the protocol itself, each of its type."""
    made = make_protocol(protocol, settings)
    return {key: getattr(made, key) for key in FIELDS if getattr(made, key) != getattr(PROTOCOLS[made.name], key)}


def _override_variant(
    suite: Suite, variant: Variant, changed: Mapping[str, Any], assigned: Mapping[str, Any]
) -> Variant:
    """A variant without what the command line says; settings of its own protocol stay next to the assigned ones."""
    values = {key: value for key, value in variant.values.items() if key not in changed}
    before, now = variant.values.get("protocol", suite.protocol), values.get("protocol", changed.get("protocol"))
    settings = {} if now not in (None, before) else dict(variant.settings)
    if "protocol" in values:
        return Variant(variant.name, values, _settings(values["protocol"], {**settings, **assigned}))
    return Variant(variant.name, values, {key: value for key, value in settings.items() if key not in assigned})
