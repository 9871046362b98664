"""README and docs/: short where they promise it, with commands that parse and links that lead somewhere."""

import itertools
import re
import runpy
import shlex
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks import verify
from benchmarks.__main__ import COMMANDS
from benchmarks.data.tasks import task_from_file
from regularizers import parse

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmarks", "regularizers", "fisher", "leaderboard")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)")


def commands(path: Path) -> list[str]:
    """The commands of a page's `sh` blocks, lines joined, without comments; not those abridged by `...`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if " ... " not in line]


def regbench_lines() -> list[tuple[str, list[str]]]:
    """(page, words after `regbench`) of every command of ours that the pages show."""
    found = []
    for path in PAGES:
        for line in commands(path):
            if match := re.search(r"(?:regbench|python -m benchmarks\.run) (.*)", line):
                words = shlex.split(match[1], comments=True)
                found.append((path.name, words if "regbench " in line else ["run", *words]))
            elif line.startswith("accelerate launch"):
                found.append((path.name, ["run", *shlex.split(line.partition("benchmarks.run")[2])]))
    return found


@pytest.mark.parametrize(("page", "words"), [pytest.param(*line, id=" ".join(line[1])) for line in regbench_lines()])
def test_every_command_parses(page: str, words: list[str]) -> None:
    length = 2 if " ".join(words[:2]) in COMMANDS else 1
    name = " ".join(words[:length])
    module = import_module(COMMANDS[name].module)
    parser = module.parsers()[name] if hasattr(module, "parsers") else module.main.parser()
    parser.parse_args([*COMMANDS[name].words[COMMANDS[name].words[:1] == (name,) :], *words[length:]])


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(path: Path) -> None:
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readme_shows_every_folder_of_code() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("## Where things are")[1].split("```")[1]
    shown = set(re.findall(r"(\w+)/", tree))
    folders = {path.parent.name for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")}
    assert folders <= shown
    assert [name for name in shown if not any(ROOT.glob(f"{name}")) and not any(ROOT.glob(f"*/{name}"))] == []


def test_the_site_has_every_page() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = set(re.findall(r"[\w-]+\.md", nav))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= listed


def test_the_strategies_of_the_docs_are_canonical() -> None:
    for name in ("README.md", "docs/strategies.md"):
        table = re.findall(r"^\| `([^`]+)` \|", (ROOT / name).read_text(encoding="utf-8"), re.M)
        assert [text for text in table if str(parse(text)) != text] == []
        assert len(table) >= 5


def test_the_workflows_are_yaml_and_run_what_a_developer_runs() -> None:
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert set(ci[True]) == {"push", "pull_request"}
    assert [step["run"] for step in ci["jobs"]["check"]["steps"] if "run" in step] == [".ci/run"]
    assert ci["permissions"] == {"contents": "read"}


@pytest.fixture
def job() -> dict[Any, Any]:
    """The job that checks results handed in by pull request, on foreign files."""
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/results.yml").read_text(encoding="utf-8"))
    return found


def test_the_results_job_may_read_and_nothing_more(job: dict[Any, Any]) -> None:
    assert job["permissions"] == {"contents": "read"}
    assert list(job[True]) == ["pull_request"], "never pull_request_target: foreign code must not see secrets"
    assert job[True]["pull_request"]["paths"] == ["submissions/**"]


def test_its_code_and_command_are_ours_and_only_the_results_are_foreign(job: dict[Any, Any]) -> None:
    steps = job["jobs"]["verify"]["steps"]
    places = {step["with"]["path"]: step["with"]["ref"] for step in steps if "checkout" in step.get("uses", "")}
    assert "base.sha" in places["code"] and "head.sha" in places["handed-in"]
    assert all(step["working-directory"] == "code" for step in steps if "run" in step)
    text = "\n".join(step.get("run", "") for step in steps)
    assert re.findall(r"python -m (\w+\.\w+)", text) == ["benchmarks.verify"]
    assert verify.main.parser().parse_args(["folder"]).rerun == 0


def test_the_task_of_the_readme_and_the_docs_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("question,answer,label\nWho?,me,yes\nWhen?,here,no\n")
    for name in ("dev.csv", "test.csv"):
        (tmp_path / name).write_bytes((tmp_path / "train.csv").read_bytes())
    for page in ("README.md", "docs/own-data.md"):
        toml = re.search(r"```toml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)
        (tmp_path / "mine.toml").write_text(toml[1])
        task = task_from_file(tmp_path / "mine.toml")
        assert (task.name, task.labels, task.primary) == ("mine", ("no", "yes"), "accuracy")


def test_constraints_allow_everything_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    asked = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    needed = [need for need in map(Requirement, asked) if need.name != "regbench"]
    assert [str(need) for need in needed if pinned.get(canonicalize_name(need.name), "") not in need.specifier] == []


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("[a](docs/board.md) [b](LICENSE)", "", "[a](board.md) [b](R/blob/main/LICENSE)"),
        ("[a](CONTRIBUTING.md) ![b](docs/page/light.png)", "", "[a](contributing.md) ![b](page/light.png)"),
        ("[a](../README.md) [b](running.md#x)", "docs", "[a](index.md) [b](running.md#x)"),
        (
            "[a](../../LEADERBOARD.md) [b](https://x.org/y.md)",
            "docs/runs",
            "[a](../leaderboard.md) [b](https://x.org/y.md)",
        ),
    ],
)
def test_links_of_the_site_lead_where_those_of_the_repository_do(text: str, folder: str, expected: str) -> None:
    hooks = runpy.run_path(str(ROOT / "docs" / "site.py"))
    assert hooks["relink"](text, folder, "R") == expected
