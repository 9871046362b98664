"""Trials as runs where people log: `--report-to tensorboard`, `trackio` or `wandb`, made from the records.

A run has the trial's name, the strategy as its group, the configuration, the loss of every step, the dev scores of
every epoch, and what the tables show of the trial. It is sent when the command's trials are done, so that no trial
waits for a service; `reported.json` says what was sent, so that nothing is sent twice. Trials without a result are left
out.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fisher.common.errors import InputError, first_line, optional
from fisher.common.files import write_file
from leaderboard.records.schema import is_result, trained_as

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.output_folder import OutputFolder

SERVICES = ("tensorboard", "trackio", "wandb")
REPORTED = "reported.json"
PLACE = ("task", "model", "strategy", "fraction", "restart", "split_seed", "metric")


@dataclass(frozen=True)
class Run:
    """One trial: flat configuration, values by step, and what it came to."""

    name: str
    group: str
    config: Mapping[str, Any]
    series: tuple[tuple[int, Mapping[str, float]], ...]
    outcome: Mapping[str, float]


def check(service: str | None) -> None:
    """Raise InputError where the service's package is not installed."""
    if service is not None:
        optional(service, f"--report-to {service}", extra=service)


def report(folder: OutputFolder, service: str | None, console: Console) -> None:
    """Send the trials of a folder to a service, where one is named, and say how many."""
    if service:
        count = send(folder.read(), service, folder.path)
        console.print(f"{count} trials sent to {service}", markup=False, highlight=False)


def send(records: Iterable[Mapping[str, Any]], service: str, folder: Path) -> int:
    """Send the trials that were not sent before and return their number; the project is named after the folder.

    Raises InputError for what the service says no to. What was sent until then is remembered.
    """
    known = _read(folder / REPORTED)
    sent = known.setdefault(service, {})
    count = 0
    try:
        for record in records:
            if is_result(record) and sent.get(record["id"]) != record["checksum"]:
                with _quiet() if count else contextlib.nullcontext():  # the first says where they go, or asks to log in
                    SENDERS[service](run_of(record), folder)
                sent[record["id"]] = record["checksum"]
                count += 1
    except Exception as error:  # whatever its client, its login or the network raise
        raise InputError(
            f"{service} must take the trials, but: {first_line(error)}; the records are complete, "
            "run the same command again"
        ) from error
    finally:
        if count:
            write_file(folder / REPORTED, json.dumps(known, indent=1) + "\n")
    return count


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what a service prints, which is a screen for every run."""
    unseen = io.StringIO()
    with contextlib.redirect_stdout(unseen), contextlib.redirect_stderr(unseen):
        yield


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        return {service: dict(sent) for service, sent in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def run_of(record: Mapping[str, Any]) -> Run:
    """The run that a record with a result is shown as."""
    config, result = record["config"], record["result"]
    tuning, strategy = config.get("tuning") or {}, trained_as(config["strategy"], config.get("floor"))
    flat = {key: config[key] for key in PLACE} | {"strategy": strategy}
    flat |= {"family": tuning["family"], "draw": tuning["draw"]} if tuning else {}
    flat |= {f"protocol/{key}": value for key, value in config["protocol"].items()}
    losses = list(result.get("train_loss") or ())
    values: dict[int, dict[str, float]] = {
        step: {"train/loss": loss} for step, loss in enumerate(losses, start=1) if loss is not None
    }
    for at, epoch in enumerate(result["epochs"], start=1):
        step = round(len(losses) * at / len(result["epochs"]))
        scores = {f"dev/{name}": score for name, score in epoch["scores"].items()}
        values[step] = values.get(step, {}) | scores
    outcome = {"score": result["score"], "failed": float(result["failed"]), "seconds": result["seconds"]["total"]}
    outcome |= {"holdout": held["score"]} if (held := result.get("holdout")) else {}
    group = f"{config['task']}: {tuning.get('family', strategy)}"
    return Run(record["id"], group, flat, tuple(sorted(values.items())), outcome)


def _to_tensorboard(run: Run, folder: Path) -> None:
    """Scalars, and the configuration with the outcome for the tab of hyperparameters, in FOLDER/tensorboard/TRIAL."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard" / run.name)) as writer:
        for step, values in run.series:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        known = {key: value if isinstance(value, (int, float)) else str(value) for key, value in run.config.items()}
        writer.add_hparams(known, {f"trial/{name}": value for name, value in run.outcome.items()}, run_name=".")


def _to_service(name: str) -> Callable[[Run, Path], None]:
    """How a run is sent to Weights & Biases, or to Trackio, which has the same functions."""

    def send(run: Run, folder: Path) -> None:
        opened = import_module(name).init(
            project=f"regbench-{folder.resolve().name}", name=run.name, group=run.group, config=dict(run.config)
        )
        try:
            for step, values in run.series:
                opened.log(dict(values), step=step)
            last = run.series[-1][0] if run.series else 0
            opened.log({f"trial/{key}": value for key, value in run.outcome.items()}, step=last + 1)
        finally:
            opened.finish()

    return send


SENDERS: Mapping[str, Callable[[Run, Path], None]] = {
    "tensorboard": _to_tensorboard,
    "trackio": _to_service("trackio"),
    "wandb": _to_service("wandb"),
}
