"""A submission to the GLUE evaluation server: one zip of eleven tab-separated files, written and checked.

Every file has the header `index TAB prediction`, then one row per test example in the order of the official test file,
its index counted from 0. Predictions are the words of the original files (0 and 1 for CoLA, SST-2, MRPC, QQP and WNLI,
the class words for the others) or, for STS-B, a number in [0, 5].
"""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data.tasks import TASKS, Task
from fisher.common.errors import require

HEADER = "index\tprediction"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: equal predictions give equal bytes
MAX_BYTES = 64 * 1024 * 1024  # of one unpacked file; the largest, QQP, has about 3 MB
DECIMALS = 6


@dataclass(frozen=True)
class File:
    """One file of a submission: the task and test set that it predicts, and its number of rows."""

    name: str
    task: Task
    part: str
    rows: int

    @property
    def words(self) -> tuple[str, ...] | None:
        """What may be predicted, by class id; None for a number in the task's range."""
        return self.task.files.codes or self.task.labels

    def format(self, predictions: Sequence[float]) -> str:
        """The file's text; numbers are clipped to the task's range. Raises InputError for predictions of other data."""
        require(
            len(predictions) == self.rows,
            f"{self.name} must have {self.rows} predictions, one per example of the official test set",
            len(predictions),
        )
        if self.words is None:
            low, high = self.task.score_range or (-math.inf, math.inf)
            texts = [f"{min(max(value, low), high):.{DECIMALS}f}" for value in predictions]
        else:
            known = set(predictions) <= set(range(len(self.words)))
            require(known, f"{self.name} must have class ids below {len(self.words)} as predictions", "another")
            texts = [self.words[int(value)] for value in predictions]
        return "\n".join([HEADER, *(f"{index}\t{text}" for index, text in enumerate(texts))]) + "\n"

    def problem(self, text: str) -> str | None:
        """What is wrong with the file's text, with its line, or None."""
        lines = text.removesuffix("\n").split("\n")
        if lines[0] != HEADER:
            return f"{self.name}, line 1: the header must be 'index TAB prediction', got {lines[0][:40]!r}"
        if len(lines) != self.rows + 1:
            return f"{self.name}: must have {self.rows} rows below its header, got {len(lines) - 1}"
        for index, line in enumerate(lines[1:]):
            if wrong := self._row_problem(index, line):
                return f"{self.name}, line {index + 2}: {wrong}"
        return None

    def _row_problem(self, index: int, line: str) -> str | None:
        cells = line.split("\t")
        if len(cells) != 2 or cells[0] != str(index):
            return f"must be {index} TAB prediction, got {line[:40]!r}"
        if self.words is not None:
            known = cells[1] in self.words
            return None if known else f"a prediction must be one of {', '.join(self.words)}, got {cells[1][:40]!r}"
        low, high = self.task.score_range or (-math.inf, math.inf)
        try:
            inside = low <= float(cells[1]) <= high
        except ValueError:
            inside = False
        return None if inside else f"a prediction must be a number in [{low:g}, {high:g}], got {cells[1][:40]!r}"


FILES = tuple(
    File(f"{name}.tsv", TASKS[task], part, rows)
    for name, task, part, rows in (
        ("CoLA", "cola", "test", 1063),
        ("SST-2", "sst2", "test", 1821),
        ("MRPC", "mrpc", "test", 1725),
        ("STS-B", "stsb", "test", 1379),
        ("MNLI-m", "mnli", "test", 9796),
        ("MNLI-mm", "mnli", "mismatched", 9847),
        ("QNLI", "qnli", "test", 5463),
        ("QQP", "qqp", "test", 390965),
        ("RTE", "rte", "test", 3000),
        ("WNLI", "wnli", "test", 146),
        ("AX", "mnli", "diagnostic", 1104),  # no trial predicts it: always the constant prediction
    )
)


def pack(predictions: Mapping[tuple[str, str], Sequence[float]]) -> tuple[bytes, list[str]]:
    """The zip of predictions by (task, test set), and the files without any, which get a constant (class or value 0).

    Equal predictions give equal bytes. Raises InputError for predictions that do not fit their file.
    """
    buffer, constant = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in FILES:
            found = predictions.get((file.task.name, file.part))
            if found is None:
                constant.append(file.name)
            entry = zipfile.ZipInfo(file.name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.format([0] * file.rows if found is None else found))
    return buffer.getvalue(), constant


def check(path: Path) -> list[str]:
    """What the evaluation server would refuse in a zip, one sentence each; nothing for a valid one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _check(archive)
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        return [f"cannot be read as a zip: {error}"]


def _check(archive: zipfile.ZipFile) -> list[str]:
    names = archive.namelist()
    known = {file.name for file in FILES}
    problems = [f"{name!r} is no file of a submission" for name in sorted(set(names) - known)]
    problems += [f"{file.name} is missing" for file in FILES if file.name not in names]
    problems += [f"{name} occurs twice" for name in sorted(known) if names.count(name) > 1]
    for file in FILES if not problems else ():
        if archive.getinfo(file.name).file_size > MAX_BYTES:
            problems.append(f"{file.name}: must unpack to at most {MAX_BYTES} bytes")
            continue
        try:
            wrong = file.problem(archive.read(file.name).decode("utf-8"))
        except UnicodeDecodeError:
            wrong = f"{file.name}: must be UTF-8 text"
        problems += [wrong] if wrong else []
    return problems
