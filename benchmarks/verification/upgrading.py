"""Records of earlier versions under the identity that they have today: the work of `benchmarks.upgrade`."""

import argparse
import dataclasses
import sys
from typing import Any

from benchmarks.data.origin import Origin
from benchmarks.data.sources import examples_hash
from benchmarks.data.splits import split_hash
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.failed_run import judge
from benchmarks.trial.identity import model_identity
from benchmarks.trial.inputs import Resources, labels_of, parts_of
from benchmarks.trial.models import find_model
from fisher.common.errors import InputError, require
from fisher.common.files import write_file
from fisher.common.text import escape
from fisher.seeds import derive
from leaderboard.records.methods import METHODS, encode_methods
from leaderboard.records.plan import PLAN, encode_plan, read_plan
from leaderboard.records.schema import Record, RecordError, is_result
from leaderboard.records.store import stream_records, write_record
from regularizers.describe import explain
from regularizers.registry import identity
from regularizers.strategy import Strategy, parse

# name: (version, version since) between which `layers=paper` became `layers=fed`, and nothing else changed
RENAMED = {"mixout": (1, 2), "mixconnect": (1, 2), "dropconnect": (1, 2), "tuneout": (2, 3)}


def strategy_of_today(config: Record) -> Strategy:
    """The strategy that a record ran, as it is written today. Raises InputError where its code has changed."""
    strategy, ran = parse(config["strategy"]), config["methods"]
    versions = {name: (ran.get(name), identity(name)) for name in strategy.names()}
    renamed = {name for name, version in versions.items() if version == RENAMED.get(name)}
    for name, (old, new) in versions.items():
        require(name in renamed or old == new, f"it ran version {old} of {name}, and this code has {new}")
    terms = [
        dataclasses.replace(term, regularizer=dataclasses.replace(term.regularizer, layers="fed"))  # type: ignore[call-arg]
        if term.scope != "head" and term.regularizer.name in renamed and term.regularizer.layers == "paper"  # type: ignore[attr-defined]
        else term
        for term in strategy.terms
    ]
    return parse(" + ".join(map(str, terms)))


def upgrade(record: Record, resources: Resources) -> Record:
    """The record as this version would write it. Raises InputError where it cannot be brought forward."""
    config, model = record["config"], model_identity(resources.model)
    strategy = strategy_of_today(config)
    trial = TrialConfig.from_json({**config, "strategy": str(strategy)})
    for field, value in model.items():
        if config.get(field, value) != value:
            raise InputError(f"its {field} is {config[field][:40]}, that of --model is {value[:40]}")
    data = resources.data.load(trial.task, trial.dropped)
    split, _, _ = parts_of(trial, data)
    found: dict[str, Any] = {
        "split_hash": split_hash(data.task, split.train),
        "dev_hash": examples_hash(split.dev),
        "train_hash": examples_hash(split.train),
    }
    for field, value in found.items():
        if config.get(field, value) != value:
            raise InputError(f"its {field} is {config[field][:12]}, this data gives {value[:12]}")
    found.update(model)
    extra = {name: examples_hash(examples) for name, examples in data.extra.items()} or None
    methods = {name: identity(name) for name in strategy.names()}
    new = dataclasses.replace(trial, **found, methods=methods, extra_hashes=extra)
    result = _result(record, trial, labels_of(split.dev), data.task)
    return {**record, "config": new.to_json(), "result": result}


def _result(record: Record, trial: TrialConfig, labels: list[int] | list[float], task: Any) -> Record:
    """The result block under today's failed-run rule and names of terms."""
    result = dict(record["result"])
    if isinstance(result.get("touched"), dict):
        old, new = parse(record["config"]["strategy"]).terms, trial.strategy.terms
        names = dict(zip(map(str, old), map(str, new), strict=True))
        result["touched"] = {names.get(name, name): modules for name, modules in result["touched"].items()}
    if is_result(record):
        require(
            result["imputed"] or len(result["predictions"]) == len(labels),
            f"it has {len(result['predictions'])} predictions for {len(labels)} labels",
        )
        seed = derive("chance", trial.restart)
        again = judge(task, trial.metric, result["predictions"], labels, diverged=result["imputed"], seed=seed)
        result |= {**dataclasses.asdict(again), "status": "failed" if again.failed else "ok"}
    return result


def run(args: argparse.Namespace) -> int:
    """Write every record that can be brought forward to the output folder; name the others."""
    model = find_model(args.model, offline=args.offline)
    resources = Resources(model, Origin(args.data_dir, args.task_file, args.offline))
    names: dict[str, str] = {}
    done = left_out = renamed = judged = 0
    for record in stream_records(args.results):
        try:
            if isinstance(record, RecordError):
                raise record
            new = upgrade(record, resources)
        except InputError as error:
            left_out += 1
            name = "" if isinstance(record, RecordError) else f"{record['id']}: "
            print(f"warning: left out: {escape(f'{name}{error}')}", file=sys.stderr)
            continue
        write_record(args.output / "records", new)
        names[record["config"]["strategy"]] = new["config"]["strategy"]
        done += 1
        renamed += record["config"]["strategy"] != new["config"]["strategy"]
        judged += record["result"]["failed"] != new["result"]["failed"]
    plan, _ = read_plan(args.results)
    write_file(args.output / PLAN, encode_plan({(*key[:5], names.get(key[5], key[5])): n for key, n in plan.items()}))
    write_file(args.output / METHODS, encode_methods({name: explain(parse(name)) for name in names.values()}))
    print(
        f"{done} records brought forward to {args.output}, {renamed} under another name, {judged} judged otherwise; "
        f"{left_out} left out"
    )
    return 1 if left_out else 0
