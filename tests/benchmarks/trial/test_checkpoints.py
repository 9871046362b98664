"""Checkpoints of trials: whatever is interrupted ends like what is not, bit for bit; no file makes a trial wrong."""

import dataclasses
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from benchmarks.data.origin import Origin
from benchmarks.executors.outcome import Device, Outcome, Status, Work
from benchmarks.executors.output import Output
from benchmarks.executors.progress import Display
from benchmarks.executors.worker import execute_within_memory, work
from benchmarks.run import main
from benchmarks.trial import checkpoints, trial
from benchmarks.trial.checkpoints import Checkpoint, Plan, remove_done
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.cost import merge_costs
from benchmarks.trial.evaluation import Evaluation
from benchmarks.trial.inputs import Resources
from benchmarks.trial.trial import execute
from fisher.common.flatten import flatten, unflatten
from leaderboard.records.store import read_record, write_record
from regularizers.registry import find, load_plugin, methods

ROOT = Path(__file__).parents[3]
COST = ("seconds", "peak_memory")
MORE = (
    "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",
    "dropout(0.1) + ema(0.9) + wdecay(w_pre, 0.01, form=coupled)",
    "lora + wise_ft(0.5)",
    "sam + gaussian_dropout(0.1)",
)
Make = Callable[..., TrialConfig]


class Killed(BaseException):
    """What a test ends a trial with; no trial catches it."""


def rows(label: Callable[[int], object]) -> tuple[list[str], list[str]]:
    """22 training examples and 12 of dev, so that a trial takes a moment."""
    draw = random.Random(0)
    words = ["the", "dog", "sees", "a", "cat", "and", "every", "bird", "sings"]
    lines = [f"{' '.join(draw.choices(words, k=draw.randint(3, 9)))}\t{label(at)}" for at in range(34)]
    return lines[:22], lines[22:]


@pytest.fixture(scope="session")
def own_task(tmp_path_factory: pytest.TempPathFactory, write_task: Callable[..., str]) -> str:
    return write_task(tmp_path_factory.mktemp("own"), *rows(lambda at: at % 2), labels=["0", "1"])


@pytest.fixture(scope="session")
def plain(resources: Resources, own_task: str) -> Resources:
    return dataclasses.replace(resources, data=Origin(task_file=own_task, offline=True))


@pytest.fixture(scope="session")
def make(make_configs: Callable[..., list[TrialConfig]]) -> Make:
    """The config of a trial of 2 epochs of 3 steps; keyword arguments are protocol fields."""

    def one(strategy: str, resources: Resources, **settings: Any) -> TrialConfig:
        fields = {"lr": 3e-3, "batch_size": 8, "max_length": 16} | settings
        (config,) = make_configs(strategy, task="own", fraction=1.0, data=resources.data, **fields)
        return config

    return one


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The final weights and optimizer states of the trials that end, in their order."""
    ended: list[dict[str, torch.Tensor]] = []

    def fit(strategy: Any, *given: Any, **more: Any) -> Any:
        history = real(strategy, *given, **more)
        moments = strategy.context.training.optimizer.state.values()
        state = {f"{at} {key}": value.clone() for at, m in enumerate(moments) for key, value in m.items()}
        ended.append({**{k: v.clone() for k, v in strategy.context.model.state_dict().items()}, **state})
        return history

    real = trial.fit
    monkeypatch.setattr(trial, "fit", fit)
    return ended


def same_weights(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(value, two[key]) for key, value in one.items())


def outcome(record: dict[str, Any]) -> dict[str, Any]:
    """All that must be equal, as a record holds it."""
    return json.loads(json.dumps({key: value for key, value in record["result"].items() if key not in COST}))


def interrupted(config: TrialConfig, resources: Resources, output: Path, every: int, parts: int = 1) -> Resources:
    """Run a trial and end it each time it has written a checkpoint, `parts` times; returns what the next part needs."""
    real, with_plan = Checkpoint.keep, dataclasses.replace(resources, checkpoints=Plan(str(output), every))

    def keep(self: Checkpoint, *given: Any) -> None:
        real(self, *given)
        raise Killed(self.notes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "keep", keep)
        for _ in range(parts):
            with pytest.raises(Killed, match=r"^\[\]$"):
                execute(config, with_plan)
    return with_plan


SUM = "dropout(0.2) + mixout(w_pre, 0.7) + ema(0.5)"
BUILT_IN = [name for name, cls in methods().items() if cls.__module__.startswith("regularizers.")]
# strategy, settings, steps between checkpoints: killed after each of them, in the middle of an epoch or at its end
TRAININGS = [
    *(pytest.param(find(name).example or name, {}, 4, id=name) for name in BUILT_IN),
    ("child_tuning(0.3, variant=D)", {}, 4),
    *(pytest.param(text, {}, 4, marks=pytest.mark.long) for text in MORE),
    pytest.param(SUM, {"forward": "packed"}, 1, id="packed"),
    pytest.param(SUM, {"forward": "padded"}, 3, id="padded"),
    pytest.param(SUM, {"forward": "stock"}, 3, id="stock", marks=pytest.mark.long),
    pytest.param(SUM, {"micro_batch": 3}, 3, id="micro-batches"),
    pytest.param(SUM, {"selection": "best_dev", "epochs": 3, "schedule": "constant"}, 3, id="best epoch"),
    pytest.param(SUM, {"precision": "bf16"}, 3, id="bfloat16"),
    pytest.param(SUM, {"bias_correction": False, "clip": 0.0}, 3, id="no clipping", marks=pytest.mark.long),
    pytest.param(SUM, {"bias_correction": True, "clip": 0.1}, 3, id="bias correction"),
]


@pytest.mark.parametrize(("strategy", "settings", "every"), TRAININGS)
def test_every_technique_and_way_of_training_ends_like_an_uninterrupted_trial(
    strategy: str,
    settings: dict[str, Any],
    every: int,
    make: Make,
    plain: Resources,
    tmp_path: Path,
    trained: list[dict[str, torch.Tensor]],
) -> None:
    """The record, the last weights and the optimizer's state are the same."""
    config = make(strategy, plain, **settings)
    whole = execute(config, plain)
    assert whole["result"]["status"] in ("ok", "failed"), whole["result"]["reason"]
    last = len(whole["result"]["train_loss"]) - 1
    resumed = execute(config, interrupted(config, plain, tmp_path, every, parts=last // every))
    assert resumed["environment"]["resumed"] == list(range(every, last + 1, every)) and last >= 3
    assert "notes" not in resumed["environment"]
    assert outcome(resumed) == outcome(whole) and same_weights(*trained)


def test_a_regression_goes_on_too(make: Make, plain: Resources, tmp_path: Path, write_task: Callable[..., str]) -> None:
    scores = {"labels": None, "regression": True, "metric": "spearman"}
    task_file = write_task(tmp_path, *rows(lambda at: f"{at % 5}.5"), **scores)
    resources = dataclasses.replace(plain, data=Origin(task_file=task_file, offline=True))
    config = make("variational_dropout + ema(0.9)", resources)
    whole = execute(config, resources)
    assert outcome(execute(config, interrupted(config, resources, tmp_path, 5))) == outcome(whole)
    assert whole["result"]["score"] is not None


def test_seconds_are_those_of_all_parts_and_the_peak_is_the_largest(
    make: Make, plain: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make("none", plain)
    resources = interrupted(config, plain, tmp_path, 2)
    path = Plan(str(tmp_path), 2).path(config.id)
    content = unflatten(load_file(path))
    assert content["cost"].keys() == {"build", "train", "total", "peak_memory"}
    content["cost"] = {"build": 100.0, "train": 200.0, "evaluate": 400.0, "total": 1000.0, "peak_memory": 1e14}
    save_file(flatten(content), path)
    result = execute(config, resources)["result"]
    assert result["peak_memory"] == 10**14
    least = {"build": 100, "train": 200, "evaluate": 400, "judge": 0, "checkpoint": 0, "total": 1000}
    assert result["seconds"].keys() == least.keys()
    assert all(result["seconds"][phase] >= seconds for phase, seconds in least.items())
    assert merge_costs({"a": 1.0, "peak_memory": 5.0}, {"a": 2.0, "b": 1.0, "peak_memory": 3.0}) == {
        "a": 3.0, "b": 1.0, "peak_memory": 5.0,
    }  # fmt: skip


# --- files that are no checkpoint of this trial


def in_place(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Put something else where the file is."""
    return lambda path: (path.unlink(), make(path))


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Change what the file holds; its checksum is that of the new content."""

    def edit(path: Path) -> None:
        content = unflatten(load_file(path))
        change(content)
        save_file(flatten(content), path)

    return edit


def flip(whole: bytes) -> bytes:
    return whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(flip(path.read_bytes())),
    "text": lambda path: path.write_text("not a checkpoint"),
    "weights": lambda path: save_file({"w": torch.zeros(2)}, path),
    "pickle": lambda path: torch.save({"w": torch.zeros(2)}, path),
    "folder": in_place(Path.mkdir),
    "pipe": in_place(os.mkfifo),
    "dangling link": in_place(lambda path: path.symlink_to("absent")),
    "other trial": edited(lambda content: content["of"].update(trial="0" * 64)),
    "other model": edited(lambda content: content["state"]["model"].popitem()),
    "no step": edited(lambda content: content["state"].update(step="<script>")),
    "mixed keys": edited(lambda content: content["of"].update({3: "x", "torch": "0"})),
    "a tensor for a version": edited(lambda content: content["of"].update(schema=torch.zeros(2))),
    "no state": edited(lambda content: content.pop("state")),
    "other optimizer": edited(lambda c: c["state"]["optimizer"]["state"][0].update(exp_avg=torch.zeros(3))),
}


@pytest.fixture(scope="session")
def kept(
    make: Make, plain: Resources, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrialConfig, dict[str, Any], bytes]:
    """What the tests of damaged files share: a trial, its uninterrupted record, and the bytes of its checkpoint."""
    config = make("dropout(0.1)", plain)
    plan = interrupted(config, plain, tmp_path_factory.mktemp("kept"), 4).checkpoints
    return config, execute(config, plain), plan.path(config.id).read_bytes()


@pytest.mark.parametrize("how", DAMAGE)
def test_a_file_that_is_no_checkpoint_is_set_aside_and_the_trial_starts_anew(
    how: str, plain: Resources, tmp_path: Path, kept: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    config, whole, content = kept
    plan = Plan(str(tmp_path), 4)
    path = plan.path(config.id)
    path.parent.mkdir()
    path.write_bytes(content)
    DAMAGE[how](path)
    assert plan.micro_batch(config.id) is None
    record = execute(config, dataclasses.replace(plain, checkpoints=plan))
    assert outcome(record) == outcome(whole) and "resumed" not in record["environment"]
    (note,) = record["environment"]["notes"]
    assert note.startswith("the checkpoint cannot be used (") and note.endswith("was set aside; its trial starts anew")
    assert note in capfd.readouterr().err
    assert len(list((tmp_path / "set_aside").iterdir())) == 1
    assert unflatten(load_file(path))["state"]["step"] == 4, "the new part keeps its own"


@pytest.mark.parametrize("change", ["torch", "micro_batch", "git"])
def test_other_software_or_another_micro_batch_starts_anew(
    change: str, make: Make, plain: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make("dropout(0.1)", plain)
    resources = interrupted(config, plain, tmp_path, 4)
    here = trial.environment(1)
    if change == "micro_batch":
        resources = dataclasses.replace(resources, micro_batch=3)
    else:
        monkeypatch.setattr(trial, "environment", lambda threads: {**here, change: "another"})
    record = execute(config, resources)
    assert record["environment"]["notes"] == [f"the checkpoint was made with another {change}; the trial starts anew"]
    assert "resumed" not in record["environment"] and record["result"]["score"] is not None


def test_an_error_right_after_going_on_does_not_happen_for_ever(
    make: Make, plain: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a checkpoint leads to is not gone on from twice; an error after further checkpoints keeps them."""
    config = make("none", plain)
    resources = interrupted(config, plain, tmp_path, 4)
    real = Evaluation.figures
    monkeypatch.setattr(Evaluation, "figures", lambda *given: 1 / 0)
    record = execute(config, resources)
    assert record["result"]["status"] == "error" and "ended in an error" in record["environment"]["notes"][0]
    assert not resources.checkpoints.path(config.id).exists()  # type: ignore[union-attr]
    execute(config, resources)
    monkeypatch.setattr(Evaluation, "figures", real)
    assert execute(config, resources)["environment"]["resumed"] == [4]


def test_a_disk_that_takes_no_checkpoint_costs_no_trial(
    make: Make, plain: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    config = make("none", plain)
    monkeypatch.setattr(checkpoints, "write_atomic", full)
    record = execute(config, dataclasses.replace(plain, checkpoints=Plan(str(tmp_path), 1)))
    assert outcome(record) == outcome(execute(config, plain))
    assert record["environment"]["notes"] == [
        "a checkpoint could not be written (No space left on device); the trial goes on without it"
    ]


# --- plugins

PLUGIN = '''
import os, signal, time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch
from regularizers import Regularizer, register


@register("counts")
@dataclass
class Counts(Regularizer):
    """Shrinks the weights by its own count of steps, drawn from a momentum of its own."""

    def attach(self, context):
        self.count, self.mean = 0, {}
        return list(context.parameters())

    def update(self, apply, context):
        apply()
        self.count += 1
        for name, p in context.parameters().items():
            self.mean[name] = 0.5 * self.mean.get(name, 0) + p.detach().mean()
            p.data.sub_(0.01 * self.count * self.mean[name])


@register("diverges")
@dataclass
class Diverges(Counts):
    """Its loss is NaN at step 7."""

    def loss(self, compute, batch, context):
        output = compute(batch)
        return output._replace(loss=output.loss * float("nan")) if context.training.step == 7 else output


@register("hides")
@dataclass
class Hides(Counts):
    """The same, hidden where no checkpoint finds it."""

    def attach(self, context):
        self._counts = deque([0])
        return super().attach(context)

    def update(self, apply, context):
        self._counts.append(1)
        self.count = len(self._counts)
        super().update(apply, context)


@register("breaks_off")
@dataclass
class BreaksOff(Counts):
    """Kills its process at step 4 and hangs at step 9, each once; its passes are compared at 0, 5 and 11."""

    def draw(self, context):
        folder, step = Path(__file__).parent, context.training.step
        if step == 4 and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 9 and not (folder / "hangs").exists():
            (folder / "hangs").touch()
            time.sleep(3600)
'''


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("plugin") / "breaks_off.py"
    path.write_text(PLUGIN)
    return str(path)


def test_a_plugin_with_state_goes_on_and_one_that_hides_it_runs_without_checkpoints(
    make: Make, plain: Resources, tmp_path: Path, plugin: str
) -> None:
    load_plugin(plugin)
    resources = dataclasses.replace(plain, plugins=(plugin,))
    config = make("counts", resources)
    resumed = execute(config, interrupted(config, resources, tmp_path, 4))
    assert resumed["environment"]["resumed"] == [4] and outcome(resumed) == outcome(execute(config, resources))
    config = make("hides", resources)
    with_plan = dataclasses.replace(resources, checkpoints=Plan(str(tmp_path), 1))
    record = execute(config, with_plan)
    assert outcome(record) == outcome(execute(config, resources))
    (note,) = record["environment"]["notes"]
    assert note.startswith("hides cannot be saved in a checkpoint: its '_counts' changes in training")
    assert note.endswith("; the trial runs without checkpoints") and not with_plan.checkpoints.path(config.id).exists()  # type: ignore[union-attr]


def test_a_trial_that_diverges_does_so_at_the_same_step_and_keeps_no_checkpoint_of_it(
    make: Make, plain: Resources, tmp_path: Path, plugin: str
) -> None:
    load_plugin(plugin)
    resources = dataclasses.replace(plain, plugins=(plugin,))
    config = make("diverges", resources, epochs=4)
    resumed = execute(config, with_plan := interrupted(config, resources, tmp_path, 2, parts=3))
    assert outcome(resumed) == outcome(execute(config, resources))
    assert resumed["result"]["failed_by"] == "diverged" and resumed["result"]["diverged_at"] == 7
    assert unflatten(load_file(with_plan.checkpoints.path(config.id)))["state"]["step"] == 6  # type: ignore[union-attr]


# --- the worker and the command


def worked(task: Work) -> Outcome:
    """What a worker makes of a trial."""
    output = Output()
    try:
        return work(task, Device("local", 0, None, 1, "here"), str(output.path))
    finally:
        output.close()


def test_the_checkpoint_is_gone_when_the_record_is_written(make: Make, plain: Resources, tmp_path: Path) -> None:
    config = make("none", plain)
    resources = interrupted(config, plain, tmp_path, 4)
    path = resources.checkpoints.path(config.id)  # type: ignore[union-attr]
    unfinished = path.with_name(f".{path.name}.0123.tmp")
    unfinished.write_bytes(b"a process was killed while it wrote")
    ended = worked(Work(config.to_json(), resources, str(tmp_path / "records"), 2))
    assert ended.status in (Status.OK, Status.FAILED) and ended.notes == ()
    assert not list(path.parent.iterdir())
    record = read_record(tmp_path / "records" / f"{config.id}.json")
    assert record["environment"]["resumed"] == [4] and record["environment"]["attempt"] == 2


@pytest.mark.parametrize("made_with", [None, 2], ids=["the whole batch", "small ones"])
def test_a_trial_whose_memory_runs_out_keeps_its_small_micro_batches(
    made_with: int | None, make: Make, plain: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts anew after the whole batch failed, and goes on where a checkpoint was made with small ones."""
    config, small = make("dropout(0.1)", plain), dataclasses.replace(plain, micro_batch=2)
    whole = outcome(execute(config, small))
    first = dataclasses.replace(plain, micro_batch=made_with)
    resources = dataclasses.replace(interrupted(config, first, tmp_path, 4), micro_batch=None)
    tried, real = [], trial.run

    def run(config: Any, given: Resources, *more: Any) -> Any:
        tried.append(given.micro_batch)
        if given.micro_batch is None:
            raise torch.OutOfMemoryError("planted")
        return real(config, given, *more)

    monkeypatch.setattr(trial, "run", run)
    record = execute_within_memory(config, resources)
    assert outcome(record) == whole and whole["micro_batch"] == 2
    other = ["the checkpoint was made with another micro_batch; the trial starts anew"]
    assert record["environment"].get("notes") == (other if made_with is None else None)
    assert (tried, record["environment"].get("resumed")) == (([None, 2], None) if made_with is None else ([2], [4]))


def test_what_cannot_be_removed_costs_no_trial(
    make: Make, plain: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        if "checkpoints" in self.parts:
            raise PermissionError(13, "Permission denied")
        os.unlink(self)

    config = make("none", plain)
    resources = dataclasses.replace(plain, checkpoints=Plan(str(tmp_path), 4))
    path = Plan(str(tmp_path), 4).path(config.id)
    path.parent.mkdir()
    path.with_name(f".{path.name}.0123.tmp").touch()
    monkeypatch.setattr(Path, "unlink", refuse)
    ended = worked(Work(config.to_json(), resources, str(tmp_path / "records"), 1))
    assert not ended.elsewhere and ended.record is None and ended.status in (Status.OK, Status.FAILED) and path.exists()
    remove_done(tmp_path, [config.id])


def test_checkpoints_of_trials_that_are_done_are_removed_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    remove_done(tmp_path, ["a"])
    folder.mkdir()
    for name in ("a.safetensors", ".a.safetensors.77.tmp", "b.safetensors", "notes.txt"):
        (folder / name).touch()
    remove_done(tmp_path, ["a", "c", "../b"])
    assert sorted(path.name for path in folder.iterdir()) == ["b.safetensors", "notes.txt"]


def test_the_display_says_a_note_once(capsys: pytest.CaptureFixture[str]) -> None:
    config: Any = SimpleNamespace(label="rte 0.1 hides restart 0", floor=None)
    with Display(2, Console(soft_wrap=True)) as display:
        for _ in range(2):
            display.end(config, Outcome(Status.OK, notes=("it is [red]not\x1b saved",)))
    shown = capsys.readouterr().out
    assert shown.count("note: it is [red]not\\x1b saved (rte 0.1 hides restart 0)") == 1


@pytest.mark.parametrize("quiet", [False, True])
def test_the_display_counts_no_floor_as_failed_and_obeys_a_quiet_console(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A constant fails by definition, and a notebook wants no line every ten seconds."""
    with Display(2, Console(soft_wrap=True, quiet=quiet)) as display:
        for floor in (None, {"name": "constant", "c": 1.0}):
            config: Any = SimpleNamespace(label="rte 0.1 none restart 0", floor=floor)
            display.end(config, Outcome(Status.FAILED))
    shown = capsys.readouterr().out
    assert shown == "" if quiet else shown.startswith("2/2 failed runs 1, errors 0, ")


def test_a_worker_and_then_the_whole_run_are_killed_and_the_next_run_ends_with_the_same_record(
    own_task: str,
    plugin: str,
    tmp_path: Path,
    plain: Resources,
    start_run: Callable[..., subprocess.Popen[str]],
    records_in: Callable[..., dict[str, dict[str, Any]]],
    await_that: Callable[..., None],
) -> None:
    """SIGKILL for real: of the worker at step 4 (tried again in the same run), of the process group at step 9."""
    out = tmp_path / "out"
    request = ["--task-file", own_task, "--model", "pocket", "--strategies", "breaks_off", "--restarts", "1"]
    request += ["--fractions", "1", "--set", "epochs=4", "batch_size=8", "max_length=16", "--plugin", plugin]
    request += ["--workers", "1", "--checkpoint-every", "2", "--offline", "--output", str(out)]
    hangs, process = Path(plugin).with_name("hangs"), start_run(*request)
    await_that(lambda: process.poll() is not None or hangs.exists())
    assert hangs.exists(), "the run ended before it hung"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (before,) = records_in(out).values()
    assert before["result"]["status"] == "killed", "of the worker; its second try left a checkpoint and no record"
    assert len(list(out.rglob("*.safetensors"))) == 1
    assert main(request) == 0
    (record,) = records_in(out).values()
    assert record["environment"]["resumed"] == [4, 8] and "notes" not in record["environment"]
    load_plugin(plugin)
    alone = execute(TrialConfig.from_json(record["config"]), dataclasses.replace(plain, plugins=(plugin,)))
    assert outcome(record) == outcome(alone) and len(alone["result"]["train_loss"]) == 12
    assert not list(out.rglob("*.safetensors")), "nothing is left of the checkpoints"
    again = write_record(tmp_path / "again", {**alone, "environment": {}})
    assert read_record(again)["id"] == record["id"], "how often a checkpoint is made is no part of a trial's identity"
