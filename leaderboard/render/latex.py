"""`table.tex`: one booktabs table per section and share of the training data, as the papers print them.

A cell is `mean (max)` x 100 over the restarts, both bold where they are the best of their column; a superscript counts
failed runs. Rows with fewer restarts than others are shown, never bold.
"""

from collections.abc import Sequence

from fisher.common.text import escape
from leaderboard.render import wording as words
from leaderboard.render.text import points, ranges
from leaderboard.tables.cells import Cell
from leaderboard.tables.names import measure
from leaderboard.tables.rows import Row
from leaderboard.tables.sections import Section

HEAD = "% Needs \\usepackage{booktabs}. Scores x 100: mean (max) over restarts; superscript: failed runs."

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{character: f"\\{character}" for character in "&%$#_"},
}


def escape_tex(text: str) -> str:
    """Return `text` as one line that TeX prints as it stands; characters beyond ASCII become visible escapes."""
    ascii_only = escape(text).encode("ascii", "backslashreplace").decode("ascii")
    return "".join(_SPECIAL.get(character, character) for character in ascii_only)


def text(sections: Sequence[Section]) -> str:
    """Return `table.tex`."""
    blocks = [HEAD]
    for number, section in enumerate(sections, start=1):
        for fraction in sorted({cell.fraction for cell in section.cells}, reverse=True):
            cells = [cell for cell in section.cells if cell.fraction == fraction]
            blocks.append("\n".join(_table(section, cells, number)))
    return "\n\n".join(blocks) + "\n"


def _table(section: Section, cells: list[Cell], number: int) -> list[str]:
    strategies = {row.strategy for cell in cells for row in cell.rows}
    ordered = sorted(strategies, key=lambda name: (name != section.baseline, name))
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(section, cells)}}}",
        rf"\label{{tab:regbench-{number}-{cells[0].fraction:g}}}",
        rf"\begin{{tabular}}{{l{'c' * len(cells)}}}",
        r"\toprule",
        _line(["Strategy", *(escape_tex(words.task_name(section, cell)) for cell in cells)]),
        r"\midrule",
        *(_line([escape_tex(name), *(_entry(cell.row(name), cell) for cell in cells)]) for name in ordered),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _line(entries: Sequence[str]) -> str:
    return " & ".join(entries) + r" \\"


def _caption(section: Section, cells: list[Cell]) -> str:
    restarts = sorted({row.restarts for cell in cells for row in cell.ranked})
    over = f" over {ranges(restarts)} restart{'s' if restarts != [1] else ''}" if restarts else ""
    metrics = ", ".join(f"{words.task_name(section, cell)} {measure(cell.metric)}" for cell in cells)
    rules = f"selection {section.protocol['selection']}, {section.protocol['precision']}"
    text = f"Mean (max){over} with {cells[0].amount} of the training data: {section.title}; {rules}; {metrics}."
    return escape_tex(text) + " Superscripts count failed runs."


def _entry(row: Row | None, cell: Cell) -> str:
    if row is None or not row.restarts:
        return "--"
    mean, top = points(row.mean), points(row.max)
    if row in cell.ranked:
        mean = rf"\textbf{{{mean}}}" if row in cell.best else mean
        top = rf"\textbf{{{top}}}" if row.max == max(other.max for other in cell.ranked) else top
    missing = "" if row.full else f", n = {row.restarts} of {row.cell_restarts}"
    return f"{mean} ({top}{missing})" + (f"$^{{{row.failed}}}$" if row.failed else "")
