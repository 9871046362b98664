"""Execute a notebook's code cells in order, without Jupyter, and store what they show.

    python docs/notebook.py docs/from-python.ipynb

A cell's output is what it prints, and the value of its last expression: as Markdown where it has that form, else as
text. An exception in a cell ends the execution.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def execute(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with the outputs that its cells have in one fresh namespace, in the current folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            outputs = run_cell("".join(cell["source"]), names, count)
            cell = {**cell, "execution_count": count, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def run_cell(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Execute one cell and return its outputs in the notebook's format."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), f"cell {count}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)})
    if value is not None:
        outputs.append(
            {"data": shown(value), "execution_count": count, "metadata": {}, "output_type": "execute_result"}
        )
    return outputs


def shown(value: Any) -> dict[str, list[str]]:
    """Return a value as a notebook shows it."""
    found = {"text/plain": repr(value).splitlines(keepends=True)}
    if markdown := getattr(value, "_repr_markdown_", None):
        found["text/markdown"] = markdown().splitlines(keepends=True)
    return found


def as_page(notebook: dict[str, Any]) -> str:
    """Return a notebook as a page of the site: text, code and outputs; headings of outputs below those of the text."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text", [])})
            if "text/markdown" in data:
                lines = data["text/markdown"]
                parts.append("".join(f"##{line}" if line.startswith("#") else line for line in lines))
            else:
                parts.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # what the cells write stays out of the repository
        found = execute(json.loads(path.read_text(encoding="utf-8")))
        os.chdir(path.parent)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
