"""The fault campaign on real trials: what misbehaves costs itself alone, whatever is killed is done in the end."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.executors.outcome import Outcome, Work
from benchmarks.executors.slot import Slot
from benchmarks.run import main
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.inputs import Resources
from benchmarks.trial.trial import execute
from leaderboard.build import build
from leaderboard.records.store import read_records

ROOT = Path(__file__).parents[3]
TINY = ("--tasks", "pocket-rte", "--fractions", "0.02", "--set", "epochs=1")
HOOKS = ("attach", "start", "groups", "draw", "loss", "gradients", "update", "evaluation")
PLUGIN = '''
import ctypes, os, random, resource, signal, sys, time
from dataclasses import dataclass

import numpy, torch
from regularizers import Regularizer, register

MEGABYTE = "x" * 1023 + "\\n"


@register("breaks")
@dataclass
class Breaks(Regularizer):
    """Breaks a trial in one of many ways."""

    how: str

    def __getattribute__(self, name):
        if name == object.__getattribute__(self, "__dict__").get("how"):
            raise RuntimeError(f"planted in {name}")
        return super().__getattribute__(name)

    def attach(self, context):
        if self.how == "exit0":
            os._exit(0)
        if self.how == "exit7":
            print("last words")
            os._exit(7)
        if self.how == "sysexit":
            sys.exit(3)
        if self.how == "segfault":
            ctypes.string_at(0)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        if self.how == "memory":
            soft, hard = resource.getrlimit(resource.RLIMIT_AS)
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, hard))
            kept = [torch.ones(2**24) for _ in range(1000)]
        if self.how.startswith("print"):
            for _ in range(int(self.how[5:])):
                sys.stdout.write(MEGABYTE * 1024)
            raise RuntimeError("planted after printing")
        if self.how == "seeds":
            torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
            torch.use_deterministic_algorithms(False)
            [torch.rand(7), random.random(), numpy.random.rand(3)]
        return ["classifier"]

    def start(self, batches, context):
        pass

    def loss(self, compute, batch, context):
        out = compute(batch)
        if self.how == "gpu" and len(batch["labels"]) > 4:
            raise torch.OutOfMemoryError("planted")
        return out._replace(loss=out.loss * float("nan")) if self.how == "nan" else out
'''
EXPECTED = {
    **{name: "error" for name in HOOKS},
    **{"sysexit": "error", "print4": "error", "memory": "oom", "hang": "timeout", "nan": "failed"},
    **dict.fromkeys(("exit0", "exit7", "segfault", "kill"), "killed"),
}
QUICK = (
    "exit0",
    "segfault",
    "hang",
    "sysexit",
    "nan",
    "draw",
    "evaluation",
)  # the others take a minute of processor time
SAME = ("score", "predictions", "train_loss", "hashes")


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `--timeout` bound the trial that hangs alone: how long an honest one takes is the machine's affair."""
    run, limits = Slot.run, dict[Slot, float | None]()

    def run_limited(self: Slot, task: Work) -> Outcome:
        limit = limits.setdefault(self, self.timeout)
        self.timeout = limit if "hang" in task.config["strategy"] else None
        return run(self, task)

    monkeypatch.setattr(Slot, "run", run_limited)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("ways", [QUICK, pytest.param(tuple(EXPECTED), marks=pytest.mark.long)], ids=["quick", "all"])
def test_a_plugin_that_misbehaves_costs_its_own_trials_alone(
    tmp_path: Path,
    make_configs: Callable[..., list[TrialConfig]],
    resources: Resources,
    records_in: Callable[..., dict[str, dict[str, Any]]],
    ways: tuple[str, ...],
) -> None:
    """One worker runs them all in turn; the trials between and after them score as in a process of their own."""
    (tmp_path / "breaks.py").write_text(PLUGIN)
    strategies = ["none", *(f"breaks({way})" for way in ways), "breaks(gpu)", "breaks(seeds)", "dropout(0.1)"]
    argv = [*TINY, "--strategies", *strategies, "--restarts", "1", "--plugin", str(tmp_path / "breaks.py")]
    more = ["--workers", "1", "--retries", "0", "--timeout", "5", "--output", str(tmp_path / "out")]
    assert main([*argv, *more]) == 1
    records = {record["config"]["strategy"]: record for record in records_in(tmp_path / "out").values()}
    results = {way: records[f"breaks({way})"]["result"] for way in ways}
    assert {way: result["status"] for way, result in results.items()} == {way: EXPECTED[way] for way in ways}
    check_reasons(results)
    gpu = records["breaks(gpu)"]
    assert gpu["result"]["status"] in ("ok", "failed") and gpu["result"]["micro_batch"] == 4, "16 / 4, and recorded"
    assert gpu["environment"] | {"executor": "local", "slot": 0, "attempt": 1} == gpu["environment"]
    settings = records["none"]["config"]["protocol"]
    kept = {key: settings[key] for key in ("lr", "batch_size", "max_length", "epochs", "forward", "bias_correction")}
    for config in make_configs("none", "dropout(0.1)", **kept):
        alone = execute(config, resources)["result"]
        assert {key: records[str(config.strategy)]["result"][key] for key in SAME} == {key: alone[key] for key in SAME}
    board = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "planted in draw" in board and "exit code 0" in board


def check_reasons(results: dict[str, dict[str, Any]]) -> None:
    """Every error says what happened, and what was printed before it."""
    for name in results.keys() & set(HOOKS):
        assert results[name]["reason"] == f"RuntimeError: planted in {name}"
    ended = {"exit0": "ended with exit code 0", "exit7": "code 7", "segfault": "by SIGSEGV", "kill": "by SIGKILL"}
    for way in results.keys() & ended.keys():
        assert ended[way] in results[way]["reason"]
    assert any("Segmentation fault" in line for line in results["segfault"]["output"])
    if "exit7" in results:
        assert results["exit7"]["output"] == ["last words"]
    if "print4" in results:
        assert {len(line) for line in results["print4"]["output"]} == {400}


@pytest.mark.parametrize(
    "line", ["raise RuntimeError('planted')", "import sys; sys.exit(0)", "(", "raise KeyboardInterrupt"]
)
def test_a_plugin_that_cannot_be_imported_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (tmp_path / "broken.py").write_text(line)
    argv = [*TINY, "--strategies", "none", "--plugin", str(tmp_path / "broken.py"), "--output", str(tmp_path / "out")]
    assert main(argv) == (130 if "Keyboard" in line else 2)
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def mounted(folder: Path, options: str) -> None:
    """Mount a small tmpfs; skip where this process may not."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"needs `mount`: {error}")
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")


@pytest.mark.parametrize(
    ("options", "message"), [("ro", "Read-only file system"), ("size=4k,nr_inodes=2", "No space left")]
)
def test_a_disk_that_takes_nothing_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    disk = tmp_path / "disk"
    mounted(disk, options)
    try:
        assert main([*TINY, "--strategies", "none", "--restarts", "1", "--output", str(disk / "out")]) == 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.long
def test_a_disk_that_fills_up_keeps_what_is_done_and_the_run_goes_on_later(
    tmp_path: Path, start_run: Callable[..., subprocess.Popen[str]], records_in: Callable[..., dict[str, Any]]
) -> None:
    disk = tmp_path / "disk"
    mounted(disk, "size=40k")
    request = [*TINY, "--strategies", "none", "--restarts", "12", "--workers", "1", "--output", disk / "out"]
    try:
        full = start_run(*request, stderr=subprocess.PIPE)
        _, error = full.communicate()
        assert full.returncode == 2 and "Traceback" not in error and "No space left on device" in error
        kept = {path: path.read_bytes() for path in (disk / "out" / "records").glob("*.json")}
        assert 0 < len(kept) < 12 and len(records_in(disk / "out")) == len(kept)
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert start_run(*request).wait() == 0
        assert len(records_in(disk / "out")) == 12
        assert all(path.read_bytes() == content for path, content in kept.items())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.long
def test_a_gigabyte_of_output_takes_no_disk(
    tmp_path: Path, start_run: Callable[..., subprocess.Popen[str]], records_in: Callable[..., dict[str, Any]]
) -> None:
    (tmp_path / "breaks.py").write_text(PLUGIN)
    (tmp_path / "tmp").mkdir()
    request = [*TINY, "--strategies", "breaks(print1024)", "--restarts", "1", "--retries", "0"]
    request += ["--plugin", tmp_path / "breaks.py", "--output", tmp_path / "out"]
    process, most = start_run(*request, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}), 0
    while process.poll() is None:
        time.sleep(0.05)
        used = subprocess.run(["du", "--bytes", tmp_path / "tmp"], capture_output=True, text=True)  # errors: files go
        most = max([most, *(int(line.split()[0]) for line in used.stdout.splitlines())])
    print(f"1 GiB printed: at most {most / 2**10:.0f} KiB on disk at a time")
    assert process.returncode == 1
    (record,) = records_in(tmp_path / "out").values()
    assert record["result"]["reason"] == "RuntimeError: planted after printing" and most < 2**20
    assert {len(line) for line in record["result"]["output"]} == {400} and not list((tmp_path / "tmp").iterdir())


# --- SIGKILL at random moments


def request(output: Path) -> list[str]:
    strategies = ["none", "mixout(w_pre, 0.7)", "dropout(0.1) + wdecay(0, 0.01)"]
    grid = [*TINY, "--strategies", *strategies, "--restarts", "50", "--workers", "1", "--retries", "9"]
    return [*grid, "--output", str(output)]


def workers_of(launcher: int) -> list[psutil.Process]:
    """Worker processes of a launcher; its resource tracker is none."""
    try:
        children = psutil.Process(launcher).children()
        return [child for child in children if any("spawn_main" in word for word in child.cmdline())]
    except psutil.Error:
        return []


@pytest.mark.long
def test_fifty_kills_cost_nothing(
    tmp_path: Path, start_run: Callable[..., subprocess.Popen[str]], printed: Callable[..., str]
) -> None:
    """SIGKILL of the launcher, a worker or the whole group: 0 trials lost, 0 done twice, the same leaderboard."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start_run(*request(whole)).wait() == 0
    draw, kills, first = random.Random(0), Counter[str](), {}
    rewritten: set[str] = set()

    def look() -> int:
        for record in read_records([broken])[0] if (broken / "records").is_dir() else []:
            if record["result"]["score"] is not None and first.setdefault(record["id"], record) != record:
                rewritten.add(record["id"])
        return len(first)

    process: subprocess.Popen[str] | None = None
    while kills.total() < 50:
        if process is None or process.poll() is not None:
            assert process is None or process.returncode < 0 or look() == 150, "it ended by itself"
            if look() == 150:
                break
            process = start_run(*request(broken))
            enough, patience = look() + draw.choice((0, 1, 2, 3)), time.monotonic() + draw.uniform(1, 60)
        while process.poll() is None and look() < enough and time.monotonic() < patience:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 0.5))
        kind = draw.choice(("launcher", "worker", "group"))
        victims = workers_of(process.pid) if kind == "worker" else [psutil.Process(process.pid)]
        if process.poll() is not None or not victims:
            continue
        if kind == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            draw.choice(victims).send_signal(signal.SIGKILL)
        if kind != "worker":
            process.wait()
        kills[kind] += 1
        enough, patience = look() + draw.choice((0, 1, 2, 3)), time.monotonic() + draw.uniform(1, 30)
    if process is not None and process.poll() is None:
        process.wait(timeout=1800)
    left = printed(main, *request(broken), "--dry-run")
    assert start_run(*request(broken)).wait() == 0
    lost = 150 - look()
    print(json.dumps({"kills": dict(kills), "lost": lost, "done twice": len(rewritten)}), left.count("150 done"))
    assert kills.total() >= 30 and lost == 0 and not rewritten
    assert not (broken / "leases").exists()
    for folder in (whole, broken):
        build([folder], folder / "again", without_cost=True)
    for name in ("leaderboard.md", "leaderboard.csv"):
        assert (whole / "again" / name).read_bytes() == (broken / "again" / name).read_bytes()
