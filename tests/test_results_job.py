"""The job that checks results handed in by pull request runs commands that exist, with few rights, on foreign files."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks import verify

ROOT = Path(__file__).parents[1]


@pytest.fixture
def job():
    return yaml.safe_load((ROOT / ".github/workflows/results.yml").read_text(encoding="utf-8"))


def test_it_may_read_and_nothing_more(job):
    assert job["permissions"] == {"contents": "read"}
    assert list(job[True]) == ["pull_request"], "never pull_request_target: foreign code must not see secrets"
    assert job[True]["pull_request"]["paths"] == ["submissions/**"]


def test_the_code_is_ours_and_only_the_results_are_foreign(job):
    steps = job["jobs"]["verify"]["steps"]
    places = {step["with"]["path"]: step["with"]["ref"] for step in steps if "checkout" in step.get("uses", "")}
    assert "base.sha" in places["code"] and "head.sha" in places["handed-in"]
    assert all(step["working-directory"] == "code" for step in steps if "run" in step)


def test_its_command_is_one_of_ours(job):
    text = "\n".join(step.get("run", "") for step in job["jobs"]["verify"]["steps"])
    assert re.findall(r"python -m (\w+\.\w+)", text) == ["benchmarks.verify"]
    assert verify.main.parser().parse_args(["folder"]).rerun == 0
