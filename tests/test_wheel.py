"""The wheel: installed into an empty environment, it runs from any folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmarks", "regularizers", "fisher", "leaderboard")
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what git tracks, so that no stray file of this folder is in it."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.check_output(["git", "ls-files", "-z", *PACKAGES, "*.toml", "README.md", "LICENSE"], cwd=ROOT)
    for name in filter(None, tracked.decode().split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, *PIP, "wheel", "--no-deps", "--wheel-dir", output, source, cwd=output)
    return next(output.glob("regbench-*.whl"))


@pytest.mark.long
def test_the_wheel_has_every_module_and_its_data(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    data = {f"{package}/py.typed" for package in PACKAGES} | {"benchmarks/suites/smoke.toml"}
    pocket = [path for path in (ROOT / "benchmarks/pocket").rglob("*") if path.suffix not in ("", ".pyc")]
    data |= {str(path.relative_to(ROOT)) for path in pocket}
    data |= {f"leaderboard/page/{path.name}" for path in (ROOT / "leaderboard/page").glob("*.js")}
    assert modules | data <= packed


@pytest.mark.long
def test_installed_into_an_empty_environment_it_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python, regbench = tmp_path / "env/bin/python", tmp_path / "env/bin/regbench"
    run(python, *PIP, "install", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    assert run(regbench, "--version", cwd=tmp_path).startswith("regbench 0.")
    assert "mixout(w_pre, 0.7)" in run(regbench, "run", "--suite", "smoke", cwd=tmp_path)
    assert len(list((tmp_path / "results/smoke/records").glob("*.json"))) == 2
    assert "Verified" in run(regbench, "verify", "results/smoke", "--data", cwd=tmp_path)
