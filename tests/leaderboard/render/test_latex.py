"""table.tex: booktabs, bold best per column, and nothing of a record that TeX would obey."""

import re

import pytest

from leaderboard.render import latex


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("w_pre & 10 % #1 ${x}$", r"w\_pre \& 10 \% \#1 \$\{x\}\$"),
        (
            "\\input{x}~^<|>",
            r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}\textless{}\textbar{}\textgreater{}",
        ),
    ],
)
def test_special_characters_are_escaped(text, escaped):
    assert latex.escape_tex(text) == escaped


@pytest.mark.parametrize("text", ["a\nb", "\u202eevil", "\x1b[31m", "ä", "日本", "\ud800"])
def test_what_tex_cannot_print_becomes_visible(text):
    made = latex.escape_tex(text)
    assert made.isascii() and made.isprintable() and r"\textbackslash{}" in made


def test_no_name_escapes_its_cell(record, arrange):
    name = r"a & b \\ \input{x} % $ # _ ^ ~"
    made = latex.text(arrange([record(0.5, strategy=name, task=name, model=name)]))
    body = re.sub(r"\\([&%$#_{}])", "", made.split("\n", 1)[1])
    assert "%" not in body and "#" not in body and "~" not in body and r"\input" not in body
    assert body.count("&") == 2 and body.count("{") == body.count("}")


def test_the_best_of_a_column_is_bold_and_incomplete_rows_are_not(record, arrange):
    entries = [record(score, strategy="a", restart=r) for r, score in enumerate((0.6, 0.8))]
    entries += [record(score, strategy="b", restart=r) for r, score in enumerate((0.75, 0.75))]
    entries += [record(0.9, strategy="c"), record(0.5, status="failed", strategy="none")]
    entries += [record(0.55, strategy="none", restart=1)]
    lines = latex.text(arrange(entries)).split("\n")
    rows = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert rows == [
        r"none & 52.5 (55.0)$^{1}$ \\",
        r"a & 70.0 (\textbf{80.0}) \\",
        r"b & \textbf{75.0} (75.0) \\",
        r"c & 90.0 (90.0, n = 1 of 2) \\",
    ]
    assert lines.count(r"\toprule") == 1 and r"\begin{tabular}{lc}" in lines


def test_one_table_per_share_of_the_data_with_a_column_per_task(record, arrange):
    entries = [record(0.5, task=task, fraction=fraction) for task in ("cola", "rte") for fraction in (0.1, 1.0)]
    made = latex.text(arrange(entries[:-1]))
    assert re.findall(r"Strategy & (.*) \\\\", made) == ["CoLA", "CoLA & RTE"]
    assert made.index("100 \\%") < made.index("10 \\% of")
    assert "Mean (max) over 1 restart with" in made
