"""A small real request on the embedded model: configs and resources that a trial takes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w

from benchmarks.data.origin import Origin
from benchmarks.planning.fisher_scores import ScoreBook
from benchmarks.planning.grid import make_grid
from benchmarks.planning.suite_file import FisherRecipe, Suite
from benchmarks.trial import models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.identity import model_identity
from benchmarks.trial.inputs import Resources
from benchmarks.trial.trial import execute
from leaderboard.records.store import read_records
from regularizers.strategy import parse
from tests.benchmarks.executors.launcher import RESULT

ROOT = Path(__file__).parents[2]
SMALL = {"lr": 3e-4, "batch_size": 16, "max_length": 40, "epochs": 2}


@pytest.fixture(scope="session")
def source() -> models.Source:
    return models.find_model("pocket", offline=True)


@pytest.fixture(scope="session")
def fisher_file(source: models.Source, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fisher scores of the embedded model from three samples."""
    book = ScoreBook(tmp_path_factory.mktemp("fisher"), source, FisherRecipe(samples=3))
    book.plan([parse("guided_dropout(0, 0.1)")])
    book.estimate(lambda text: None)
    return book.files["estimate"]


@pytest.fixture(scope="session")
def resources(source: models.Source, fisher_file: str) -> Resources:
    return Resources(model=source, data=Origin(offline=True), fisher={"estimate": fisher_file})


@pytest.fixture(scope="session")
def make_configs(source: models.Source) -> Callable[..., list[TrialConfig]]:
    """Configs of a small grid on an embedded task; keyword arguments are protocol fields."""

    def make(
        *strategies: str,
        task: str = "pocket-rte",
        fraction: float = 0.02,
        restarts: int = 1,
        split_seeds: int | None = None,
        protocol: str = "lee20",
        data: Origin = Origin(offline=True),  # noqa: B008  # frozen
        **settings: Any,
    ) -> list[TrialConfig]:
        suite = Suite(
            name="test",
            tasks=(task,),
            strategies=strategies,
            fractions=(fraction,),
            restarts=restarts,
            split_seeds=split_seeds,
            protocol=protocol,
            settings=SMALL | settings,
            fisher=FisherRecipe(samples=3),
        )
        return make_grid(
            suite,
            data.load,
            model=model_identity(source),
            family="bert",
            fisher=lambda strategy: None,
        )

    return make


@pytest.fixture(scope="session")
def write_task() -> Callable[..., str]:
    """Write a task of one's own; returns its task file. Dev has the rows of train unless others are given."""

    def write(
        folder: Path,
        train: Iterable[str],
        dev: Iterable[str] | None = None,
        *,
        suffix: str = "tsv",
        columns: tuple[str, ...] = ("text", "label"),
        **keys: Any,
    ) -> str:
        separator = "\t" if suffix == "tsv" else ","
        head = [] if suffix == "jsonl" else [separator.join(columns)]
        for part, rows in (("train", train), ("dev", train if dev is None else dev)):
            (folder / f"{part}.{suffix}").write_text("\n".join([*head, *rows]) + "\n")
        table = {"name": "own", "train": f"train.{suffix}", "dev": f"dev.{suffix}", "text": [*columns[:-1]]}
        table |= {"label": columns[-1], "labels": ["no", "yes"], "metric": "accuracy"} | keys
        path = folder / "own.toml"
        path.write_text(tomli_w.dumps({key: value for key, value in table.items() if value is not None}))
        return str(path)

    return write


@pytest.fixture(scope="session")
def train(make_configs: Callable[..., list[TrialConfig]], resources: Resources) -> Callable[..., dict[str, Any]]:
    """The record of one trial of a strategy; keyword arguments are those of `make_configs`, `on` other resources."""

    def run(strategy: str, *, on: Resources = resources, **settings: Any) -> dict[str, Any]:
        (config,) = make_configs(strategy, **settings)
        return execute(config, on)

    return run


@pytest.fixture
def untrained() -> Callable[[TrialConfig], dict[str, Any]]:
    """A record of a config's trial, of which nothing was trained."""

    def make(config: TrialConfig) -> dict[str, Any]:
        return {"config": config.to_json(), "result": dict(RESULT), "environment": {}}

    return make


@pytest.fixture
def start_run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `regbench run` as a process group of its own; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object, **how: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.run", *map(str, words)]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **silent | how))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def records_in() -> Callable[[Path], dict[str, dict[str, Any]]]:
    """The records of an output folder by their names, every one of them sound."""

    def read(folder: Path) -> dict[str, dict[str, Any]]:
        records, problems = read_records([folder])
        assert not problems
        return {record["id"]: record for record in records}

    return read


@pytest.fixture
def await_that() -> Callable[..., None]:
    """Look until something holds; a machine that is only slow does not run out of time."""

    def wait(holds: Callable[[], bool], most: float = 1800) -> None:
        until = time.monotonic() + most
        while not holds():
            assert time.monotonic() < until, f"it did not come about within {most} s"
            time.sleep(0.05)

    return wait


@pytest.fixture
def ended() -> Callable[[int], bool]:
    """Whether a process is no more, or only waits for somebody to ask how it ended."""

    def is_gone(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return is_gone
