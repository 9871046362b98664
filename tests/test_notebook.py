"""The notebook in docs/ runs as it stands, and shows what is stored in it."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PATH = DOCS / "from-python.ipynb"
TOOLS = runpy.run_path(str(DOCS / "notebook.py"))


@pytest.fixture
def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


def words(notebook: dict[str, Any]) -> set[str]:
    """The names in all outputs: what is shown, whatever a machine's digits and the order that follows from them."""
    return set(re.findall(r"[a-z_]{2,}", json.dumps([cell.get("outputs", []) for cell in notebook["cells"]])))


def test_the_notebook_runs_without_a_word_and_shows_what_is_stored(
    stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = TOOLS["execute"](stored)
    assert words(found) == words(stored), "make it anew: python docs/notebook.py docs/from-python.ipynb"
    assert capfd.readouterr().out == "", "no progress in a notebook"
    assert (tmp_path / "results" / "notebook" / "index.html").is_file()


def test_a_notebook_is_a_page_with_its_outputs(stored: dict[str, Any]) -> None:
    page = TOOLS["as_page"](stored)
    assert page.startswith("# A suite from Python\n") and len(re.findall(r"^# ", page, re.M)) == 1
    assert "```python\nfrom benchmarks import run_suite\n" in page and "mixout(w_pre, 0.7)" in page
    assert "### Leaderboard" in page, "headings of outputs lie below those of the text"


def test_what_a_cell_prints_and_ends_with_is_its_output() -> None:
    cells = [
        {"cell_type": "code", "source": ["x = 3\n", "print('said')\n", "x + 1"]},
        {"cell_type": "code", "source": ["x = 5"]},
    ]
    first, second = TOOLS["execute"]({"cells": cells})["cells"]
    assert [output.get("text") or output["data"]["text/plain"] for output in first["outputs"]] == [["said\n"], ["4"]]
    assert second["outputs"] == [] and second["execution_count"] == 2
    with pytest.raises(ZeroDivisionError):
        TOOLS["execute"]({"cells": [{"cell_type": "code", "source": ["1 / 0"]}]})
