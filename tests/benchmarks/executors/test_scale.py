"""A hundred thousand trials: what planning, resuming and the tables cost. Nothing is trained; figures are printed."""

import gc
import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.planning import plan as planning
from benchmarks.run import main, show_plan, show_time
from leaderboard.records.logits import encode_logits
from leaderboard.records.store import read_record, write_record
from tests.benchmarks.executors.launcher import RESULT

ROOT = Path(__file__).parents[3]
TRIALS = 100_000  # 4 tasks x 5 fractions x 25 strategies x 200 restarts
STRATEGIES = ["none", *(f"dropout({at / 100:g})" for at in range(1, 25))]  # the first is the baseline of all others
GRID = ["--fractions", "0.02", "0.1", "0.25", "0.5", "1", "--restarts", "200", "--strategies", *STRATEGIES]
TUNED = 101_088  # 4 tasks x 2 sizes x (9 families of 8 configurations and the default, and 3 floors likewise) x 117
TUNED_GRID = ["--suite", "tuned-pocket", "--restarts", "117"]
BUILD = "import sys; from leaderboard.build import main; sys.exit(main(sys.argv[1:]))"


def calibration() -> float:
    """Processor seconds of a loop that does what all this does, to tell a busy or slow machine from slow code."""
    gc.disable()  # a large grid in memory is no part of it
    begin = time.process_time()
    block = {str(at): [at, at / 7, {"a": str(at)}] for at in range(1000)}
    for _ in range(200):
        hashlib.sha256(json.dumps(json.loads(json.dumps(block, sort_keys=True))).encode()).hexdigest()
    seconds = time.process_time() - begin
    gc.enable()
    return seconds


def plan(output: Path, grid: list[str]) -> tuple[float, planning.Plan]:
    """Processor seconds of a dry run, which plans, reads what is there and says what is left."""
    begin = time.process_time()
    request = planning.resolve(main.parser().parse_args([*grid, "--offline", "--output", str(output)]))
    plan = planning.make_plan(request)
    console = Console(quiet=True)
    show_plan(request, plan, console)
    assert show_time(request, plan, console) == 0
    return time.process_time() - begin, plan


def record_of(at: int, config: Any) -> dict[str, Any]:
    """A record as trials leave it; accuracies of a dev set of 277, many of them equal."""
    score = (139 + at * 7919 % 109) / 277
    epochs = [{"epoch": 1, "scores": {"accuracy": score}}]
    result = RESULT | {"score": score, "predictions": [at % 2, 1] * 50, "epochs": epochs, "train_loss": [0.7] * 24}
    if config.tuning is not None:
        result |= {"fit": {"loss": 0.1, "score": 0.9, "accuracy": 0.9}, "passes": {"forward": 200, "backward": 200}}
        result["calibration"] = {"ece": 0.1, "brier": 0.3, "nll": 0.4}
        result["logits"] = encode_logits([[at % 7, 1.5], [0.5, at % 5]] * 50)
        if config.tuning.holdout is not None:
            result["holdout"] = {"score": at * 31 % 26 / 25, "predictions": [at % 2] * 25}
    return {"config": config.to_json(), "result": result, "environment": {"torch": "2"}}


@pytest.mark.long
@pytest.mark.parametrize(("grid", "trials"), [(GRID, TRIALS), (TUNED_GRID, TUNED)], ids=["plain", "tuned"])
def test_a_hundred_thousand_trials(grid: list[str], trials: int, tmp_path: Path) -> None:
    speed = calibration()
    plan(tmp_path, grid)  # loads the model and the tasks
    planned, run = plan(tmp_path, grid)
    assert len(run.grid) == trials
    for at, config in enumerate(run.grid.values()):
        write_record(tmp_path / "records", record_of(at, config))
    resumed, run = plan(tmp_path, grid)
    assert not run.left
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", BUILD, str(tmp_path), "--output", str(tmp_path / "board"), "--without-figures"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    built = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    name = next(iter(run.grid))
    assert read_record(tmp_path / "records" / f"{name}.json")["id"] == run.grid[name].id == name
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"processor seconds of the calibration loop: {speed:.2f} before, {calibration():.2f} after")
    print(
        f"{trials} trials: planned {planned:.1f}, resumed {resumed:.1f} (with {own / 2**20:.2f} GiB), "
        f"leaderboard {built:.1f} with {end.ru_maxrss / 2**20:.2f} GiB"
    )
