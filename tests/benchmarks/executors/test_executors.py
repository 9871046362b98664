"""Leases, the schedule and slots: no trial lost, none done twice, each attempt accounted for."""

import dataclasses
import importlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmarks.executors import leases as lease_module
from benchmarks.executors import local, scheduler, slot, worker
from benchmarks.executors.launch import run_under_leases
from benchmarks.executors.leases import Leases
from benchmarks.executors.outcome import Device, Outcome, Status, Work
from benchmarks.executors.progress import Display
from benchmarks.executors.slot import Slot
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.protocol import Protocol
from leaderboard.records.schema import RecordError
from leaderboard.records.store import read_records, set_aside
from tests.benchmarks.executors import launcher

ROOT = Path(__file__).parents[3]
NEVER = {
    "beat": 1e6,
    "stale": 1e6,
}  # seconds: a launcher of this machine is stale when its process is gone, not when it waits


# --- leases


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the monotonic clock, the only one of leases; by itself it stands still, however slow the machine is."""
    now = [1000.0]
    monkeypatch.setattr(lease_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_one_of_two_launchers_gets_a_trial_and_the_other_when_it_is_given_back(tmp_path: Path) -> None:
    with Leases(tmp_path) as one, Leases(tmp_path) as two:
        lease = one.claim("trial-f0.1")
        assert lease is not None and lease.held() and lease.trial == "trial-f0.1"
        assert two.claim("trial-f0.1") is None
        assert two.claim("trial-f0.10") is not None, "another trial whose name begins alike"
        one.release(lease)
        assert two.claim("trial-f0.1") is not None
    assert not (tmp_path / "leases").exists(), "nothing stays behind"


def claim_and_die(folder: Path, trial: str) -> None:
    """Claim a trial in another process, which is then killed."""
    code = "import os, sys; from pathlib import Path; from benchmarks.executors.leases import Leases\n"
    code += "l = Leases(Path(sys.argv[1])); l.__enter__(); l.claim(sys.argv[2]); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(folder), trial], cwd=ROOT, check=False)


def test_a_killed_launcher_of_this_machine_loses_its_leases_at_once(tmp_path: Path) -> None:
    claim_and_die(tmp_path, "a")
    assert len(os.listdir(tmp_path / "leases")) == 2, "the lease and the heartbeat"
    with Leases(tmp_path) as leases:
        lease = leases.claim("a")
        assert lease is not None and lease.path.endswith("a.1")
    assert not (tmp_path / "leases").exists()


def test_a_launcher_elsewhere_is_stale_when_its_heartbeat_has_not_changed(
    tmp_path: Path, wait: Callable[[float], None]
) -> None:
    folder = tmp_path / "leases"
    folder.mkdir()
    (folder / "a.0").write_text("far-away")
    (folder / "far-away.alive").write_text('{"beats": "0", "process": ["another boot", "n", "1", "2"]}')
    with Leases(tmp_path, stale=60) as leases:
        assert leases.claim("a") is None
        wait(45)
        (folder / "far-away.alive").write_text('{"beats": "1", "process": ["another boot", "n", "1", "2"]}')
        assert leases.claim("a") is None
        wait(45)
        assert leases.claim("a") is None, "it beat less than 60 s ago"
        wait(15)
        assert leases.claim("a") is not None


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "\x1b[2J", "x" * 5000])
def test_a_foreign_file_among_the_leases_is_outlived_and_leads_nowhere(
    tmp_path: Path, token: str, wait: Callable[[float], None]
) -> None:
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases" / "a.0").write_text(token)
    (tmp_path / "leases" / "README").write_text("")
    with Leases(tmp_path, stale=60) as leases:
        assert leases.claim("a") is None
        wait(60)
        assert leases.claim("a") is not None


def test_a_lease_of_the_same_name_is_not_the_one_that_was_superseded(
    tmp_path: Path, wait: Callable[[float], None]
) -> None:
    """A stalls; B takes the trial, gives it back after an error and takes it again, now as the first of its name."""
    with Leases(tmp_path, beat=1e6) as old, Leases(tmp_path, beat=1e6, stale=60) as new:
        lease = old.claim("a")
        assert lease is not None and new.claim("a") is None
        wait(60)
        between = new.claim("a")
        assert between.held() and not lease.held()
        old.release(lease)
        assert between.held() and old.claim("a") is None, "who was superseded cannot remove the new lease"
        new.release(between)
        successor = new.claim("a")
        assert successor is not None and successor.path == lease.path
        assert successor.held() and not lease.held() and not between.held()
        old.release(lease)
        assert successor.held() and old.claim("a") is None


def test_a_lease_that_is_being_written_is_not_outlived_by_that_of_another_trial(
    tmp_path: Path, wait: Callable[[float], None]
) -> None:
    """One lease is gone between listing and reading, another is empty; each has a time of its own."""
    with Leases(tmp_path, stale=60) as leases:
        held = leases._generations
        leases._generations = lambda trial: held(trial) or [0]  # type: ignore[method-assign]
        assert leases.claim("gone") is None
        (tmp_path / "leases" / "empty.0").touch()
        assert leases.claim("empty") is None
        wait(60)
        (tmp_path / "leases" / "a.0").touch()
        (tmp_path / "leases" / "gone.0").touch()
        assert leases.claim("a") is None and leases.claim("gone") is None
        (tmp_path / "leases" / "empty.0").write_text("")
        os.utime(tmp_path / "leases" / "empty.0", ns=(1, 1))
        assert leases.claim("empty") is None, "another file of the same name"
        wait(60)
        assert leases.claim("a") is not None and leases.claim("empty") is not None


def test_files_that_cannot_be_removed_at_the_end_do_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIO and ESTALE of a shared file system, after all trials are done; the lease is then free for others and us."""

    def fail(*given: Any, **more: Any) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "leases").mkdir()
    (tmp_path / "leases" / "dead.alive").write_text("")
    with Leases(tmp_path, stale=0) as leases:
        lease = leases.claim("a")
        monkeypatch.setattr(os, "unlink", fail)
        monkeypatch.setattr(Path, "unlink", fail)
        leases.release(lease)
        assert leases.claim("a") is not None
    assert (tmp_path / "leases" / "a.0").exists()


def test_the_last_launcher_removes_leases_that_nobody_needs_any_more(tmp_path: Path) -> None:
    """A launcher is killed between its record and the release; the next has nothing to do with that trial."""
    claim_and_die(tmp_path, "done-f0.1")
    assert (tmp_path / "leases" / "done-f0.1.0").exists()
    with Leases(tmp_path) as other:
        held = other.claim("held")
        with Leases(tmp_path):
            pass
        assert held is not None and held.held(), "those of launchers at work stay"
        assert sorted(os.listdir(tmp_path / "leases")) == sorted([f"{other.token}.alive", "held.0"])
    assert not (tmp_path / "leases").exists()


# --- the schedule


class Scripted(launcher.Instant):
    """An executor whose outcomes are written down: status by restart, one per attempt, `ok` after the last."""

    def __init__(self, script: dict[int, list[str]]) -> None:
        super().__init__(1, 0.0)
        self.script, self.attempts = script, []

    def submit(self, task: Any) -> Future[Any]:
        restart = task.config["restart"]
        self.attempts.append((restart, task.attempt))
        planned = self.script.get(restart, [])
        future: Future[Any] = Future()
        status = planned[task.attempt - 1] if task.attempt <= len(planned) else "ok"
        future.set_result(self.run(task) if status == "ok" else Outcome(Status(status), "planted"))
        return future


def test_errors_are_tried_again_after_the_others_and_no_more_than_asked(tmp_path: Path) -> None:
    executor = Scripted({0: ["killed"], 1: ["timeout"] * 5})
    ended = launcher.launch(tmp_path, range(3), executor, retries=2)
    assert executor.attempts == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (1, 3)]
    assert [(c["restart"], o.status) for c, o in ended] == [(2, "ok"), (0, "ok"), (1, "timeout")]
    records = {r["config"]["restart"]: r for r in read_records([tmp_path])[0]}
    assert records[0]["result"]["status"] == "ok"
    assert records[1]["result"]["reason"] == "planted" and records[1]["environment"]["attempt"] == 3
    again = Scripted({})
    launcher.launch(tmp_path, range(3), again)
    assert again.attempts == [(1, 1)], "the next run tries errors again, never results"


def test_a_result_that_was_written_before_the_worker_died_stays(tmp_path: Path) -> None:
    class DiesAfterwards(Scripted):
        def submit(self, task: Any) -> Future[Any]:
            self.run(task)
            return super().submit(task)

    ((_, outcome),) = launcher.launch(tmp_path, range(1), DiesAfterwards({0: ["killed"]}), retries=0)
    assert outcome.status is Status.OK
    assert read_records([tmp_path])[0][0]["result"]["score"] == 0.7


@pytest.mark.parametrize("status", ["ok", "killed"])
def test_a_trial_whose_lease_was_superseded_is_done_again_if_the_other_launcher_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    class Superseded(Scripted):
        def submit(self, task: Any) -> Future[Any]:
            if not self.attempts:
                Path(task.lease.path).with_suffix(".1").write_text("a-launcher-that-is-no-more 0")
            else:
                self.script.clear()
            return super().submit(task)

    monkeypatch.setattr(scheduler, "LOOK_EVERY", 0.0)
    executor = Superseded({0: [status]})
    ((_, outcome),) = launcher.launch(tmp_path, range(1), executor, retries=0, stale=0.0)
    assert executor.attempts == [(0, 1), (0, 1)] and outcome.status is Status.OK
    assert not outcome.elsewhere
    assert len(read_records([tmp_path])[0]) == 1 and not (tmp_path / "leases").exists()


@pytest.mark.parametrize("launchers", [2, 8])
def test_launchers_on_one_folder_share_the_work(tmp_path: Path, launchers: int) -> None:
    executors = [launcher.Instant(2, 0.002) for _ in range(launchers)]
    with ThreadPoolExecutor(launchers) as pool:
        list(pool.map(lambda executor: launcher.launch(tmp_path, range(100), executor, **NEVER), executors))
    done = [name for executor in executors for name in executor.done]
    assert len(done) == 100, "nothing is done twice"
    assert {record["id"] for record in read_records([tmp_path])[0]} == set(done)
    assert not (tmp_path / "leases").exists()


@pytest.mark.parametrize(
    ("launchers", "trials", "kills"),
    [(3, 150, 6), *(pytest.param(count, 2000, 50, marks=pytest.mark.long) for count in (2, 8))],
)
def test_killed_launchers_cost_nothing(tmp_path: Path, launchers: int, trials: int, kills: int) -> None:
    """Of launchers on one folder one dies by SIGKILL and is started again, so many times."""
    command = [sys.executable, launcher.__file__, str(tmp_path), str(trials), "0.1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    draw, written, rewritten = random.Random(1), dict[Path, int](), set[Path]()

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def look() -> None:
        for path in (tmp_path / "records").glob("*.json"):
            time_written = path.stat().st_mtime_ns
            if written.setdefault(path, time_written) != time_written:
                rewritten.add(path)

    running = [start() for _ in range(launchers)]
    try:
        for _ in range(kills):
            time.sleep(draw.uniform(0.0, 0.4))
            victim = running.pop(draw.randrange(len(running)))
            victim.kill()
            victim.communicate()
            running.append(start())
            look()
        for process in running:
            process.communicate(timeout=600)
    finally:
        for process in running:
            process.kill()
    look()
    records, problems = read_records([tmp_path])
    lost = trials - len(records)
    print(f"{launchers} launchers, {trials:,} trials, {kills} kills: {lost} lost, {len(rewritten)} done twice")
    assert (lost, problems, rewritten) == (0, [], set())


class Noted(launcher.Instant):
    """Every trial ends with the same note."""

    def run(self, task: Work) -> Outcome:
        return dataclasses.replace(super().run(task), notes=("it did nothing",))


@pytest.mark.parametrize(("until", "expected"), [(-math.inf, 1), (math.inf, 3)])
def test_no_trial_begins_after_the_end_and_notes_are_said_once_over_launches(
    until: float,
    expected: int,
    tmp_path: Path,
    make_configs: Callable[..., list[TrialConfig]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    said: set[str] = set()
    left = {config.id: config for config in make_configs("none", restarts=3)}
    for number in range(2):
        engine, output = Noted(1, 0.0), tmp_path / str(number)
        plan: Any = SimpleNamespace(left=left, known=SimpleNamespace(checksums={}))
        job = scheduler.Job(resources=None, output=output, retries=0, environment={})
        with Display(len(left), Console(soft_wrap=True), said) as display:
            for config, outcome in run_under_leases(engine, plan, job, display, until):
                display.end(config, outcome)
        assert len(engine.done) == expected and engine.closed
        assert not (output / "leases").exists(), "no trial stays claimed"
    assert capsys.readouterr().out.count("note: it did nothing") == 1


# --- the store


def test_what_is_no_record_is_set_aside_and_its_trial_runs_again(tmp_path: Path) -> None:
    launcher.launch(tmp_path, range(3), launcher.Instant(1, 0.0))
    paths = sorted((tmp_path / "records").iterdir())
    kept = paths[0].read_bytes()
    paths[1].write_bytes(kept[:100])
    newer = json.loads(paths[2].read_text()) | {"schema": 2}
    paths[2].write_text(json.dumps(newer))
    _, problems = read_records([tmp_path])
    said = set_aside(problems, tmp_path / "set_aside")
    assert len(said) == 2 and all(" as " in line for line in said)
    assert json.loads(next((tmp_path / "set_aside").glob(f"{paths[2].name}.*")).read_text()) == newer, "nothing is lost"
    executor = launcher.Instant(1, 0.0)
    launcher.launch(tmp_path, range(3), executor)
    assert sorted(executor.done) == [path.stem for path in paths[1:]] and paths[0].read_bytes() == kept


def test_a_file_with_several_faults_is_set_aside_once(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    problems = [RecordError(f"line {number}", tmp_path / "x.json") for number in range(3)]
    (line,) = set_aside(problems, tmp_path / "set_aside")
    assert " as " in line and len(list((tmp_path / "set_aside").iterdir())) == 1


def test_a_file_that_cannot_be_set_aside_is_named(tmp_path: Path) -> None:
    (tmp_path / "set_aside").write_text("")
    (tmp_path / "x.json").write_text("{")
    _, problems = read_records([tmp_path / "x.json"])
    (line,) = set_aside(problems, tmp_path / "set_aside")
    assert "cannot be moved" in line and (tmp_path / "x.json").exists()


# --- devices and outcomes


def test_trials_of_neighbouring_slots_run_on_different_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    where = local.find_devices(None, 2, 1)
    assert [device.gpu for device in where] == ["5", "7", "5", "7"]
    assert local.in_words(where) == "4 workers on GPU 5, 7"
    assert [device.gpu for device in local.find_devices(3, 1, 1)] == ["5", "7", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert [device.gpu for device in local.find_devices(None, 1, 1)] == ["0", "1"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(local, "cores", lambda: 6)
    assert [device.gpu for device in local.find_devices(None, 1, 4)] == [None]


def test_a_container_s_limit_counts_where_it_is_below_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docker run --cpus 2` on 64 cores: 64 workers would fill the memory and share two cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    limit = tmp_path / "cpu.max"
    found = []
    for text in ("200000 100000", "150000 100000", "5000 100000", "9900000 100000", "max 100000", "", "1 0"):
        limit.write_text(text)
        found.append(local.cores(limit))
    assert found == [2, 2, 1, 64, 64, 64, 64]
    assert local.cores(tmp_path / "absent") == 64


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("os._exit(0)", "the worker process ended with exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the worker process was ended by SIGKILL"),
        (
            "os.kill(os.getpid(), signal.SIGRTMIN + 1)",
            f"the worker process ended with exit code {-signal.SIGRTMIN - 1}",
        ),
    ],
)
def test_a_process_that_is_gone_is_noticed_however_late_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, reason: str
) -> None:
    """By the first look the pool has long put another process in its place."""
    (tmp_path / "leaves.py").write_text(f"import os, signal\n\n\ndef work(*_):\n    {line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(slot, "work", importlib.import_module("leaves").work)
    monkeypatch.setattr(slot, "TICK", 2.0)
    one = Slot(Device("local", 0, None, 1, "host"), 1, 600.0)
    outcomes = [one.run(Work({}, None, str(tmp_path), 1)) for _ in range(2)]
    one.kill()
    assert outcomes == [Outcome(Status.KILLED, reason, device=one.device)] * 2


def test_a_worker_that_loses_its_launcher_goes_and_leaves_nothing(
    tmp_path: Path, await_that: Callable[..., None], ended: Callable[[int], bool]
) -> None:
    (tmp_path / "waits.py").write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "from benchmarks.executors import slot, worker\n"
        "from benchmarks.executors.outcome import Device, Work\n\n\n"
        "def work(task, device, output):\n    with worker.captured(Path(output)):\n"
        "        Path(task.folder, 'pid').write_text(str(os.getpid()))\n        time.sleep(600)\n\n\n"
        "def run():\n    slot.work = work\n"
        "    device = Device('local', 0, None, 1, 'host')\n"
        "    slot.Slot(device, 1, None).run(Work({}, None, sys.argv[1], 1))\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    argv = [sys.executable, "-c", "import waits; waits.run()", str(tmp_path)]
    launcher = subprocess.Popen(argv, cwd=tmp_path, env=environment)
    await_that(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", most=300)
    pid = int((tmp_path / "pid").read_text())
    launcher.kill()
    launcher.wait()
    await_that(lambda: ended(pid), most=300)
    assert not list(tmp_path.glob("regbench-*"))


def test_a_folder_of_temporary_files_that_is_gone_is_the_trial_s_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    executor = local.LocalExecutor([Device("local", 0, None, 1, "host")], threads=1, timeout=None)
    shutil.rmtree(tmp_path / "temporary")
    outcome = executor.submit(Work({}, None, str(tmp_path), 1)).result()
    executor.close()
    assert outcome.status is Status.ERROR and outcome.device is not None and outcome.device.host == "host"
    assert outcome.reason.startswith("the folder of temporary files must take a named pipe, got: [Errno 2] No such")
    assert outcome.reason.endswith("; set TMPDIR to one that does")


def test_the_second_try_after_a_gpu_s_memory_ran_out_has_smaller_micro_batches() -> None:
    def size(batch: int, micro: int) -> int | None:
        return worker.smaller_micro_batch(SimpleNamespace(protocol=Protocol(batch_size=batch, micro_batch=micro)))  # type: ignore[arg-type]

    assert [size(32, 0), size(32, 8), size(3, 0), size(32, 1)] == [8, 2, 1, None]
