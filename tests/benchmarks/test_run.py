"""The command as a user types it: requests refused in one sentence, runs that resume, nothing lost."""

import csv
import dataclasses
import gzip
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

import benchmarks.run
from benchmarks import output_folder
from benchmarks.data.official import DataHash
from benchmarks.data.origin import load_data
from benchmarks.data.tasks import TASKS
from benchmarks.executors import launch
from benchmarks.executors.leases import Leases
from benchmarks.planning import plan as planning
from benchmarks.run import main
from benchmarks.trial.config import TrialConfig
from benchmarks.verify import main as verify
from leaderboard.build import build
from leaderboard.export import pack
from leaderboard.records.labels import LABELS, read_labels
from leaderboard.records.plan import encode_plan, read_plan
from leaderboard.records.store import write_record
from leaderboard.verify import disagreements, remade

ROOT = Path(__file__).parents[2]
TINY = ("--tasks", "pocket-rte", "--fractions", "0.02", "--set", "epochs=1", "fisher_samples=3")
SMALL = (*TINY[:4], "--restarts", "1", "--set", "lr=3e-4", "batch_size=16", "max_length=40", "epochs=2")
SMALL += ("bias_correction=true", "forward=packed")  # as the protocol itself and the fixtures have them
MIX = "mixout(w_pre, 0.7)"
StartRun = Callable[..., subprocess.Popen[str]]
RecordsIn = Callable[[Path], dict[str, dict[str, Any]]]
LONG = "a" * 300  # no file can have this name


def planned(*argv: str) -> tuple[planning.Request, planning.Plan]:
    """What a command line comes to, before anything is written."""
    request = planning.resolve(main.parser().parse_args(argv))
    return request, planning.make_plan(request)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--suite", "poket"], "unknown suite 'poket'; did you mean pocket?"),
        (["--tasks", "rtee"], "rte"),
        (["--tasks", "rte"], "--model must be given for rte: a hub id such as bert-large-uncased, or a folder"),
        (["--tasks", "rte", "--model", "./absent"], "--model must be a hub id or an existing folder, got './absent'"),
        (["--strategies", "dropuot(0.1)"], "unknown regularizer 'dropuot'; did you mean dropout?"),
        (["--strategies", "dropout(1)"], "p of dropout must be in [0, 1), got 1"),
        (["--strategies", "dropout(0.1) + guided_dropout"], "one sum must set the dropout sites once"),
        (["--strategies", "mixout(w_0, 0.7)"], "write head:mixout(w_0, ...)"),
        (["--strategies", "none + dropout(0.1)"], "none must stand alone in its sum"),
        (["--fractions", "0"], "fractions must be in (0, 1], got 0"),
        (["--restarts", "0"], "restarts must be in 1..10000, got 0"),
        (["--split-seeds", "9"], "split_seeds must be in 1..restarts (3), got 9"),
        (["--set", "epoch=1"], "unknown protocol field 'epoch'; did you mean epochs?"),
        (["--set", "epochs"], "--set must be given key=value, got 'epochs'"),
        (["--set", "lr=0"], "lr must be positive, got 0.0"),
        (["--protocol", "lee"], "protocol must be one of lee20, sharma24, got 'lee'"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--workers", "99999999999999999999"], "--workers must be at most 10000, got 99999999999999999999"),
        (["--threads", "3000000000"], "--threads must be at most 10000, got 3000000000"),
        (["--fractions", "1e-12"], "fractions must be in (0, 1] and at least 1e-09, got 1e-12"),
        (["--set", "fisher_objective=foo"], "fisher.objective must be one of auto, mlm, "),
        (["--timeout", "-1"], "--timeout must be a positive number of seconds, got -1"),
        (["--timeout", "nan"], "--timeout must be a positive number of seconds, got nan"),
        (["--trials-per-device", "0"], "--trials-per-device must be at least 1, got 0"),
        (["--retries", "x"], "--retries must be a whole number, got 'x'"),
        (["--executor", "lokal"], "argument --executor: invalid choice: 'lokal'"),
        (["--checkpoint-every", "-1"], "--checkpoint-every must be at least 0, got -1"),
        (["--retries", "-1"], "--retries must be at least 0, got -1"),
        (["--slurm", "partition=gpu"], "--slurm must come with --executor slurm, got --executor local"),
        (
            ["--ray-address", "head:6379", "--executor", "slurm"],
            "--ray-address must come with --executor ray, got --executor slurm",
        ),
        (["--slurm", "partition", "--executor", "slurm"], "--slurm must be given key=value, got 'partition'"),
        (["--plugin", "absent.py"], "the plugin absent.py could not be imported: FileNotFoundError"),
        (["--task-file", "absent.toml"], "absent.toml"),
        (["--set", "fisher_corpus=absent.txt", "--strategies", "guided_dropout"], "absent.txt"),
        (
            ["--strategies", "guided_dropout(0, 0.1, fisher=absent.safetensors)"],
            "there is no score file absent.safetensors",
        ),
        (["--set", "fisher_samples=9999999", "--strategies", "guided_dropout"], "fisher_samples must be at most 2000"),
        (["--strategies", f"guided_dropout(0, 0.1, fisher={LONG})"], "there is no score file aaa"),
        (["--set", f"fisher_corpus={LONG}.txt", "--strategies", "guided_dropout"], "there is no corpus file aaa"),
        (["--tasks", "rte", "--model", f"./{LONG}"], "--model must be a hub id or an existing folder, got './aaa"),
        (["--tasks", "rte", "--model", "pocket", "--data-dir", LONG], "RTE: no such folder"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(
    argv: list[str], message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert message in refused(main, *argv, "--offline", "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists(), "a refused request leaves nothing behind"


def test_lists_name_what_the_command_line_takes(printed: Callable[..., str]) -> None:
    tasks = printed(main, "--list", "tasks")
    assert [name for name in TASKS if name not in tasks] == []
    assert "pocket" in printed(main, "--list", "suites")


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path, printed: Callable[..., str]) -> None:
    request = ["--dry-run", "--offline", "--output", tmp_path / "out"]
    shown = printed(main, *request)
    assert "204 trials: 0 done, 204 left" in shown
    assert "by one training step measured now" in shown
    assert "lr 0.0001, 3 epochs, batch 16, 3 restarts on 3 splits\n" in shown
    assert "strategies = [" not in shown
    assert "strategies = [" in printed(main, "--verbose", *request), "the resolved suite"
    glue = printed(main, "--suite", "glue", "--model", "pocket", *request)
    assert "--model pocket: synthetic tasks in place of GLUE: rte -> pocket-rte, mrpc -> pocket-mrpc" in glue
    assert not (tmp_path / "out").exists()


def leaderboard(folder: Path) -> tuple[str, str]:
    """The tables without their cost columns, rebuilt from the records alone."""
    build([folder], folder / "rebuilt", without_cost=True)
    return tuple((folder / "rebuilt" / name).read_text() for name in ("leaderboard.md", "leaderboard.csv"))  # type: ignore[return-value]


PLUGIN = """
import os, signal, time
from dataclasses import dataclass
from pathlib import Path

from regularizers import Regularizer, register


@register("{name}")
@dataclass
class Once(Regularizer):
    def attach(self, context):
        mark = Path(__file__).with_suffix(".begun")
        if not mark.exists():
            mark.touch()
            {line}
        return ["classifier"]
"""


def words(output: Path, plugin: Path, *strategies: str) -> list[str]:
    request = [*TINY, "--plugin", str(plugin), "--strategies", *strategies, "--restarts", "2", "--workers", "1"]
    return [*request, "--output", str(output)]


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_plugin(folder: Path, name: str, line: str) -> Path:
    """A technique that, the first time that a trial attaches it, leaves a mark and executes a line."""
    path = folder / f"{name}.py"
    path.write_text(PLUGIN.format(name=name, line=line))
    return path


def test_a_killed_run_goes_on_and_ends_like_an_uninterrupted_one(
    tmp_path: Path, printed: Callable[..., str], start_run: StartRun
) -> None:
    """SIGKILL of the whole group in the middle; then again; then once more: no new trials, identical files.

    A trial sends the signal, so that it always comes between the first trial and the last.
    """
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    plugin = write_plugin(tmp_path, "falls", "os.killpg(0, signal.SIGKILL)")
    strategies = ("none", "falls", "mixout(w_pre, 0.7)", "guided_dropout(0, 0.1)")
    killed = start_run(*words(broken, plugin, *strategies), stderr=subprocess.PIPE)
    _, error = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, error
    assert 0 < len(list(broken.glob("records/*.json"))) < 8, "it must have been killed in the middle"
    for output in (broken, whole):
        assert main(words(output, plugin, *strategies)) == 0
    assert leaderboard(broken) == leaderboard(whole)
    before = files_in(whole)
    assert "8 trials: 8 done, 0 left" in printed(main, *words(whole, plugin, *strategies))
    assert files_in(whole) == before


def test_ctrl_c_stops_cleanly_and_keeps_what_is_done(
    tmp_path: Path, start_run: StartRun, records_in: RecordsIn, await_that: Callable[..., None]
) -> None:
    """Status 130, no traceback, no worker left behind, the records whole; it comes while the second trial runs."""
    plugin = write_plugin(tmp_path, "waits", "time.sleep(3600)")
    process = start_run(
        *words(tmp_path / "out", plugin, "none", "waits"),
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background shells hand on an ignored one
    )
    await_that(lambda: process.poll() is not None or plugin.with_suffix(".begun").exists())
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group, workers included
    _, error = process.communicate(timeout=900)
    assert process.returncode == 130, error
    assert "Interrupted. Run the same command again to resume." in error
    assert "Traceback" not in error
    await_that(lambda: not any(os.getpgid(pid) == process.pid for pid in psutil.pids()), most=300)
    (record,) = records_in(tmp_path / "out").values()
    assert record["config"]["strategy"] == "none"


def test_a_plugin_of_an_installed_distribution_is_known_to_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution as pip lays it down; the same process then trains the trial again."""
    write_plugin(tmp_path, "announced", "pass")
    info = tmp_path / "announced-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: announced\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[regbench.regularizers]\nannounced = announced:Once\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    request = [*TINY, "--strategies", "announced", "--restarts", "1", "--workers", "1"]
    assert main([*request, "--offline", "--output", str(tmp_path / "out")]) == 0
    assert verify([str(tmp_path / "out"), "--offline", "--rerun", "1"]) == 0


def test_ones_own_task_runs_like_glue(
    tmp_path: Path, refused: Callable[..., str], records_in: RecordsIn, write_task: Callable[..., str]
) -> None:
    rows = [f"the dog sees the cat{' the cat' * (at % 9)}\t{at % 2}" for at in range(40)]
    own, out = write_task(tmp_path, rows, labels=["0", "1"]), tmp_path / "out"
    argv = ["--task-file", own, "--model", "pocket", "--restarts", "1", "--fractions", "0.5", "--set", "epochs=1"]
    argv += ["--output", str(out), "--strategies", "none"]
    assert main(argv) == 0
    (record,) = records_in(out).values()
    assert record["config"]["task"] == "own"
    assert (out / "split_hashes.json").exists(), "the first use records the split's hash"
    before = files_in(out)
    write_task(tmp_path, [*rows[::2], *rows[1::2]], labels=["0", "1"])
    load_data.cache_clear()
    for further in ([], ["--dry-run"]):
        said = refused(main, *argv, MIX, *further)
        assert "the training data changed; use another output folder (--output)" in said
    assert files_in(out) == before, "a refused request leaves suite.toml, methods.json and plan.json as they were"


def test_a_result_without_test_predictions_is_trained_again_for_them_and_scores_the_same(
    tmp_path: Path, records_in: RecordsIn
) -> None:
    request = [*TINY, "--strategies", "none", "--restarts", "1", "--workers", "1", "--output", str(tmp_path / "out")]
    assert main(request) == 0
    (before,) = records_in(tmp_path / "out").values()
    assert main([*request, "--set", "predict_test=true"]) == 0
    (after,) = records_in(tmp_path / "out").values()
    assert "test" not in before["result"]
    assert len(after["result"]["test"]["test"]["predictions"]) == 400
    assert after["result"]["score"] == before["result"]["score"]
    (path,) = (tmp_path / "out" / "records").glob("*.json")
    written = path.stat().st_mtime_ns
    assert main([*request, "--set", "predict_test=true"]) == 0
    assert path.stat().st_mtime_ns == written, "now it is there"


def test_a_run_says_how_many_restarts_it_planned_and_never_fewer_than_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def restarts(*flags: str) -> dict[str, int]:
        request = ["--suite", "board", "--model", "pocket", "--output", str(tmp_path), "--tasks", "pocket-rte", *flags]
        wanted, plan = planned(*request)
        plan.keep(wanted)
        found, faults = read_plan([tmp_path])
        assert faults == []
        return {place[-1]: count for place, count in found.items()}

    first = restarts()
    assert first["none"] == 5 and first["mixout(w_pre, 0.7, layers=fed)"] == 12 and len(first) == 10
    assert restarts("--restarts", "2", "--split-seeds", "1") == first
    for name in ("plan.json", "methods.json"):
        (tmp_path / name).write_text("damaged")
    assert restarts() == first
    kept = sorted((tmp_path / "set_aside").iterdir())
    assert [path.name.rsplit(".", 1)[0] for path in kept] == ["methods.json", "plan.json"]
    assert all(path.read_text() == "damaged" for path in kept)
    said = capsys.readouterr().err
    assert said.count("warning: set aside ") == 2 and "plan.json as " in said


def test_of_two_launchers_that_plan_at_a_time_none_loses_what_it_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is between reading and writing when this one comes."""
    request = ["--tasks", "pocket-rte", "--strategies", "none", "--restarts", "2", "--output", str(tmp_path)]
    wanted, plan = planned(*request)
    other = {("m", "w", "{}", "rte", 1.0, "mixout(w_pre, 0.7)"): 3}
    with Leases(tmp_path) as leases:
        lease = leases.claim("plan.json")

        def wait(_: float) -> None:
            (tmp_path / "plan.json").write_bytes(encode_plan(other))
            leases.release(lease)

        monkeypatch.setattr(time, "sleep", wait)
        plan.keep(wanted)
    found = read_plan([tmp_path])[0]
    assert len(found) > 1 and found.items() >= other.items()
    assert not (tmp_path / "leases").exists()


def test_of_two_launchers_with_own_tasks_none_loses_the_hash_of_its_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes when the first is about to rename the file; both have one process id, as in two containers."""
    request = ["--tasks", "pocket-rte", "--strategies", "none", "--output", str(tmp_path)]
    wanted, plan = planned(*request)
    one = dataclasses.replace(plan, new_hashes=[DataHash(TASKS["qnli"], "0.1/0", "a" * 64)])
    two = dataclasses.replace(plan, new_hashes=[DataHash(TASKS["sst2"], "0.1/0", "b" * 64)])
    waits, began, replace, sleep = threading.Event(), list[threading.Thread](), os.replace, time.sleep

    def wait(seconds: float) -> None:
        waits.set()
        sleep(seconds)

    def interrupted(source: Any, target: Any) -> None:
        if Path(target).name == "split_hashes.json" and not began:
            began.append(threading.Thread(target=two.keep, args=[wanted]))
            began[0].start()
            while began[0].is_alive() and not waits.is_set():
                sleep(0.01)
        replace(source, target)

    monkeypatch.setattr(output_folder, "time", SimpleNamespace(sleep=wait))
    monkeypatch.setattr(os, "replace", interrupted)
    one.keep(wanted)
    began[0].join()
    kept = json.loads((tmp_path / "split_hashes.json").read_text())
    assert kept == {"qnli": {"0.1/0": "a" * 64}, "sst2": {"0.1/0": "b" * 64}}


TWICE = (*TINY, "--strategies", "none", "--restarts", "2")


@pytest.mark.parametrize(("splits", "kept"), [("1", True), ("2", False)])
def test_labels_of_dev_are_kept_where_restarts_share_a_split(tmp_path: Path, splits: str, kept: bool) -> None:
    """There their trials can be joined to an ensemble."""
    request, plan = planned(*TWICE, "--split-seeds", splits, "--output", str(tmp_path))
    plan.keep(request)
    assert (tmp_path / LABELS).is_file() == kept


def test_a_run_whose_restarts_share_a_split_has_their_ensemble(tmp_path: Path) -> None:
    assert main([*TWICE, "--split-seeds", "1", "--output", str(tmp_path)]) == 0
    found, faults = read_labels([tmp_path])
    (labels,) = found.values()
    assert faults == [] and len(labels) == 400
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        (line,) = [line for line in csv.DictReader(file) if line["rule"] == "seeds"]
    assert (line["strategy"], line["restarts"]) == ("ensemble(none, 2 seeds)", "1")


def test_an_output_that_takes_no_split_hashes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    (tmp_path / "out" / "split_hashes.json").mkdir(parents=True)
    monkeypatch.setattr(planning, "_new_splits", lambda request, grid: [DataHash(TASKS["qnli"], "0.1/0", "a")])
    message = refused(main, *SMALL, "--strategies", "none", "--output", tmp_path / "out")
    assert "out/split_hashes.json: must be the JSON file of split hashes; delete it to start anew." in message


def test_an_archive_among_the_records_is_not_counted_as_done_and_stays(
    tmp_path: Path,
    make_configs: Callable[..., list[TrialConfig]],
    untrained: Callable[[TrialConfig], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its good lines are no trials of this run, and its bad one moves nothing out of the way."""
    archive = tmp_path / "records" / "records.jsonl.gz"
    archive.parent.mkdir()
    content = pack(map(untrained, make_configs("none", restarts=3))) + gzip.compress(b"{\n")
    archive.write_bytes(content)
    monkeypatch.setattr(launch, "run_under_leases", lambda *given: iter(()))
    monkeypatch.setattr(benchmarks.run, "report", lambda *given: 0)
    assert main([*SMALL, "--restarts", "3", "--strategies", "none", "--output", str(tmp_path)]) == 0
    shown, warned = capsys.readouterr()
    assert "3 trials: 0 done, 3 left" in shown and warned == ""
    assert f"not used: {archive}; move it out of records/, regbench build reads it" in shown
    assert archive.read_bytes() == content and not (tmp_path / "set_aside").exists()


def test_after_a_narrower_request_the_table_still_has_all_records(
    tmp_path: Path,
    make_configs: Callable[..., list[TrialConfig]],
    untrained: Callable[[TrialConfig], dict[str, Any]],
    printed: Callable[..., str],
) -> None:
    """As `leaderboard.verify` wants it, to which a line too few is a trial that somebody dropped."""
    for config in make_configs("none", MIX):
        write_record(tmp_path / "records", untrained(config))
    for strategies in (["none", MIX], ["none"]):
        assert f"{len(strategies)} trials: {len(strategies)} done, 0 left" in printed(
            main, *SMALL, "--strategies", *strategies, "--output", tmp_path
        )
        assert list(disagreements(tmp_path, remade)) == []
        assert MIX in (tmp_path / "leaderboard.csv").read_text()
    assert "Nothing left to run." in printed(main, *SMALL, "--strategies", "none", "--output", tmp_path, "--dry-run")


def test_one_percent_of_rte_trains_on_a_real_encoder(
    shared_data: Path, real_bert: Path, tmp_path: Path, records_in: RecordsIn
) -> None:
    """25 examples are one short batch; a script that drops the last batch would train on none."""
    argv = ["--model", str(real_bert), "--data-dir", str(shared_data / "glue"), "--tasks", "RTE", "--offline"]
    argv += ["--strategies", "mixout(w_pre, 0.7) + wdecay(w_pre, 0.01)", "--fractions", "0.01", "--restarts", "1"]
    assert main([*argv, "--set", "epochs=1", "--output", str(tmp_path)]) == 0
    (record,) = records_in(tmp_path).values()
    result = record["result"]
    assert len(result["train_loss"]) == 1
    assert len(result["predictions"]) == 277
    assert abs(result["floor"] - 146 / 277) < 1e-12  # the majority class of RTE's dev set
    mixed = result["touched"]["mixout(w_pre, 0.7)"]
    assert len(mixed) == 6 * 5 + 1
    assert "bert.encoder.layer.0.intermediate.dense" not in mixed, "no dropout follows it"
    assert not any(name.startswith("classifier") for names in result["touched"].values() for name in names)
    assert str(real_bert.parent) not in json.dumps(record), "a record must not carry a path"


# --- rows that a message names are left out of a run, stand in its records, and are left out again by `verify`

WORDS = ["the", "a", "rabbit", "fox", "sees", "hears", "chases", "likes", "big", "small", "red", "old"]
TEXTS = [(" ".join(WORDS[at % 5 : at % 5 + 4]), " ".join(WORDS[at % 7 : at % 7 + 3])) for at in range(40)]


def first_release(folder: Path, write_task: Callable[..., str]) -> list[str]:
    """QQP as it was published first: a row cut in two by a line end, and one with an empty question."""
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    rows = [f"{at}\t{at}\t{at}\t{first}\t{second}\t{at % 2}" for at, (first, second) in enumerate(TEXTS)]
    broken = ["90\t1\t2\tcut", "in two\tthere\t0", "91\t1\t2\tempty\t\t1"]
    (folder / "QQP").mkdir()
    (folder / "QQP" / "train.tsv").write_text("\n".join([head, *rows[:20], *broken, *rows[20:]]) + "\n")
    (folder / "QQP" / "dev.tsv").write_text("\n".join([head, *rows[:10]]) + "\n")
    return ["--data-dir", str(folder)]


def own_files(folder: Path, write_task: Callable[..., str]) -> list[str]:
    """Rows of one's own, three of them without a label that the task knows."""
    rows = [f"{first},{second},{'no' if at % 2 else 'yes'}" for at, (first, second) in enumerate(TEXTS)]
    broken = [f"a fox,{at},perhaps" for at in range(3)]
    mixed, columns = [*rows[:20], *broken, *rows[20:]], ("first", "second", "label")
    return ["--task-file", write_task(folder, mixed, rows[:10], suffix="csv", columns=columns)]


@pytest.mark.parametrize(("task", "files"), [("qqp", first_release), ("own", own_files)])
def test_from_the_message_to_verified_records(
    tmp_path: Path,
    task: str,
    files: Callable[..., list[str]],
    write_task: Callable[..., str],
    refused: Callable[..., str],
    printed: Callable[..., str],
    records_in: RecordsIn,
) -> None:
    source, output = files(tmp_path, write_task), tmp_path / "out"
    request = [*source, "--tasks", task, "--strategies", "none", "--restarts", "1", "--fractions", "1"]
    request += ["--model", "pocket", "--offline", "--set", "epochs=1", "--output", str(output)]
    said = refused(main, *request)
    assert "3 rows cannot be used" in said and said.split()[-1] == f"{task}:train:22,23,24"
    drop = ["--drop-rows", said.split()[-1]]
    assert main([*request, *drop]) == 0
    (record,) = records_in(output).values()
    assert record["config"]["dropped"] == {"train": [22, 23, 24]}
    verified = printed(verify, output, *source, "--offline", "--rerun", "1")
    assert "10 of 10 predictions equal; losses differ by 0\n" in verified

    other = refused(main, *request, *drop, f"{task}:train:2")
    assert "--output" in other, "another training set under the same names"
    record["config"]["dropped"] = {"train": [2, 22, 23, 24]}
    write_record(tmp_path / "forged", record)
    assert "it names the split" in printed(verify, tmp_path / "forged", *source, "--offline", code=1)
