"""Trials as runs where people log: made from records, sent once, refused before anything starts."""

import json
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks import choose, run, tracking
from benchmarks.trial.config import TrialConfig

Record = dict[str, Any]


@pytest.fixture
def records(make_configs: Callable[..., list[TrialConfig]], untrained: Callable[..., Record]) -> list[Record]:
    """Three trials of two epochs of two steps; the last ended in an error."""
    found = []
    for at, config in enumerate(make_configs("none", restarts=3)):
        record = untrained(config) | {"id": f"trial-{at}", "checksum": f"sum-{at}"}
        epochs = [{"epoch": epoch, "scores": {"accuracy": 0.5 + epoch / 10}} for epoch in (1, 2)]
        record["result"] |= {"train_loss": [0.7, 0.6, 0.5, 0.4], "epochs": epochs, "holdout": {"score": 0.65}}
        found.append(record)
    found[2]["result"] = {"status": "error", "reason": "it broke", "score": None, "failed": None}
    return found


class Service(ModuleType):
    """What Weights & Biases and Trackio have in common: init(project, name, group, config), log, finish."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.runs: list[OpenRun] = []
        self.refuses = ""
        monkeypatch.setitem(sys.modules, name, self)

    def init(self, *, project: str, name: str, group: str, config: dict[str, Any]) -> "OpenRun":
        if self.refuses == name:
            raise RuntimeError("api_key not configured\nsee the manual")
        print(f"a screen about {name}")
        self.runs.append(OpenRun(project, name, group, config))
        return self.runs[-1]


class OpenRun:
    def __init__(self, project: str, name: str, group: str, config: dict[str, Any]) -> None:
        json.dumps(config)
        self.project, self.name, self.group, self.config = project, name, group, config
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.finished = False

    def log(self, data: dict[str, float], step: int) -> None:
        assert not self.finished and all(step > before for before, _ in self.logged), "steps must rise"
        self.logged.append((step, data))

    def finish(self) -> None:
        self.finished = True


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_trial_is_a_run_with_its_configuration_losses_and_scores(
    name: str,
    records: list[Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = Service(name, monkeypatch)
    tracking.check(name)
    assert tracking.send(records, name, tmp_path / "mine") == 2, "an error has nothing to show"
    first = service.runs[0]
    assert (first.project, first.name, first.group) == ("regbench-mine", "trial-0", "pocket-rte: none")
    assert first.config["strategy"] == "none" and first.config["protocol/lr"] == 3e-4 and first.config["restart"] == 0
    assert first.logged == [
        (1, {"train/loss": 0.7}),
        (2, {"train/loss": 0.6, "dev/accuracy": 0.6}),
        (3, {"train/loss": 0.5}),
        (4, {"train/loss": 0.4, "dev/accuracy": 0.7}),
        (5, {"trial/score": 0.7, "trial/failed": 0.0, "trial/seconds": 0.1, "trial/holdout": 0.65}),
    ]
    assert all(each.finished for each in service.runs)
    assert capsys.readouterr().out == "a screen about trial-0\n", "where runs go is said by the first"


def test_tensorboard_reads_what_was_written(records: list[Record], tmp_path: Path) -> None:
    assert tracking.send(records, "tensorboard", tmp_path) == 2
    found = EventAccumulator(str(tmp_path / "tensorboard" / "trial-1")).Reload()
    losses = [(event.step, event.value) for event in found.Scalars("train/loss")]
    assert losses == [(step, pytest.approx(loss)) for step, loss in enumerate((0.7, 0.6, 0.5, 0.4), start=1)]
    assert [event.value for event in found.Scalars("trial/score")] == [pytest.approx(0.7)]
    assert [event.step for event in found.Scalars("dev/accuracy")] == [2, 4]
    assert b"protocol/lr" in b"".join(path.read_bytes() for path in (tmp_path / "tensorboard" / "trial-1").iterdir())


def test_nothing_is_sent_twice_but_what_has_changed(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service("wandb", monkeypatch)
    assert [tracking.send(records, "wandb", tmp_path) for _ in range(2)] == [2, 0]
    records[1]["checksum"] = "another"
    assert tracking.send(records, "wandb", tmp_path) == 1 and service.runs[-1].name == "trial-1"
    Service("trackio", monkeypatch)
    assert tracking.send(records, "trackio", tmp_path) == 2, "another service has not seen them"


def test_a_service_that_says_no_is_named_and_what_it_took_is_remembered(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    service = Service("wandb", monkeypatch)
    service.refuses = "trial-1"
    assert refusal(tracking.send, records, "wandb", tmp_path) == (
        "wandb must take the trials, but: api_key not configured; the records are complete, run the same command again"
    )
    service.refuses = ""
    assert tracking.send(records, "wandb", tmp_path) == 1


@pytest.mark.parametrize("damage", ["no json", "[]", '{"wandb": 3}'])
def test_a_damaged_memory_is_begun_anew(records: list[Record], tmp_path: Path, damage: str) -> None:
    (tmp_path / tracking.REPORTED).write_text(damage)
    assert tracking.send(records, "tensorboard", tmp_path) == 2


@pytest.mark.parametrize(
    "command", [(run, []), (choose, ["rows.csv", "--text", "t", "--label", "y", "--model", "pocket"])]
)
def test_a_missing_package_is_said_before_anything_starts(
    command: tuple[Any, list[str]], tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as Python says that it has been looked for in vain
    module, words = command
    said = "error: --report-to wandb needs wandb, which is not installed: pip install 'regbench[wandb]'\n"
    assert refused(module.main, *words, "--report-to", "wandb", "--output", tmp_path / "out") == said
    assert not (tmp_path / "out").exists()


def test_a_run_sends_its_trials_at_the_end(tmp_path: Path, printed: Callable[..., str]) -> None:
    request = ["--tasks", "pocket-rte", "--fractions", "0.02", "--restarts", "1", "--strategies", "none"]
    request += ["--set", "epochs=1", "--workers", "1", "--report-to", "tensorboard", "--output", str(tmp_path)]
    assert printed(run.main, *request).rstrip().endswith("1 trials sent to tensorboard")
    [record] = (tmp_path / "records").iterdir()
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == [record.stem]
