"""Rows that cannot be used: all of a file named in one refusal, or left out by number where the user says so."""

import re
from collections.abc import Collection, Iterable, Mapping

from fisher.common.errors import InputError

SHOWN = 10
Dropped = Mapping[str, tuple[int, ...]]  # part (train, dev, or the name of a further dev set) -> numbers of its rows


class FaultyRows:
    """The faulty rows of one file or table, collected for one sentence about all of them.

    where: the file or table; unit: what its numbers count; option: what `--drop-rows` takes before the numbers, or
    nothing where no row may be left out.
    """

    def __init__(self, where: str, *, unit: str = "line", option: str = "") -> None:
        self.where, self.unit, self.option = where, unit, option
        self.found: dict[int, str] = {}

    def note(self, number: int, sentence: str) -> None:
        """Remember what is wrong with a row; of several faults the first."""
        self.found.setdefault(number, sentence)

    def leave_out(self, dropped: Collection[int], numbers: Iterable[int]) -> None:
        """Forget what is wrong with rows that are left out. Raises InputError for one that is not among `numbers`."""
        if lost := sorted(set(dropped).difference(numbers)):
            raise InputError(
                f"{self.where}: --drop-rows must name rows that are there, but it has no {self.unit} {lost[0]}."
            )
        self.found = {number: sentence for number, sentence in self.found.items() if number not in dropped}

    def refuse(self) -> None:
        """Raise InputError if any row is faulty: the first ten of them, the count, and the way out."""
        self.found = dict(sorted(self.found.items()))
        if len(self.found) == 1:
            [(number, sentence)] = self.found.items()
            raise InputError(f"{self.where}, {self.unit} {number}: {sentence}.{self._way_out()}")
        if self.found:
            more = len(self.found) - SHOWN
            rest = f"; and {more} more" if more > 0 else ""
            raise InputError(
                f"{self.where}: {len(self.found)} rows cannot be used: {'; '.join(self._groups())}{rest}."
                + self._way_out()
            )

    def _groups(self) -> Iterable[str]:
        by_sentence: dict[str, list[int]] = {}
        for number, sentence in list(self.found.items())[:SHOWN]:
            by_sentence.setdefault(sentence, []).append(number)
        for sentence, numbers in by_sentence.items():
            several = "s" if len(numbers) > 1 else ""
            yield f"{self.unit}{several} {', '.join(map(str, numbers))} ({sentence})"

    def _way_out(self) -> str:
        if not self.option:
            return ""
        return f" Correct them or leave them out: --drop-rows {self.option}:{','.join(map(str, self.found))}"


def parse_dropped(texts: Iterable[str]) -> dict[str, dict[str, tuple[int, ...]]]:
    """{task: {part: numbers}} of texts such as `qqp:train:4,5`, as typed after `--drop-rows`. Raises InputError."""
    answer: dict[str, dict[str, set[int]]] = {}
    for text in texts:
        if not (found := re.fullmatch(r"([^:]+):([a-z]+):(\d+(?:,\d+)*)", text)):
            raise InputError(f"--drop-rows must be TASK:PART:NUMBERS, such as qqp:train:4,5, got {text!r}")
        task, part, numbers = found.groups()
        answer.setdefault(task, {}).setdefault(part, set()).update(map(int, numbers.split(",")))
    return {task: {part: tuple(sorted(rows)) for part, rows in sorted(parts.items())} for task, parts in answer.items()}
