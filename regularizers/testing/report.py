"""Run the conformance checks on methods and say what they found: `regbench check FILE|NAME|--all`."""

import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill

from tabulate import tabulate

from fisher.common.errors import InputError
from regularizers.registry import find, load_plugin, methods
from regularizers.strategy import example_of, parse
from regularizers.testing.conformance import CHECKS, Finding, Subject, run_check

SIGNS = {"pass": "pass", "fail": "FAIL", "skip": "skip"}


@dataclass(frozen=True)
class Report:
    """All findings on one method, and the seconds they took."""

    subject: Subject
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def failures(self) -> list[Finding]:
        """The findings that are failures."""
        return [finding for finding in self.findings if finding.status == "fail"]


def subjects(what: str) -> list[Subject]:
    """What a command-line word means: the methods of a FILE.py, a method's NAME, or a strategy as text.

    Raises InputError for a file that cannot be imported, an unknown name and a strategy that cannot be read.
    """
    if what.endswith(".py") or os.sep in what:
        return [subject_of(name) for name in load_plugin(what)]
    if what.isidentifier():
        return [subject_of(what)]
    strategy = parse(what)
    cls = find(re.findall(r"\w+", what.strip().removeprefix("head:"))[0])  # the first term as written
    return [Subject(cls.name, strategy, cls.off, cls.exempt)]


def subject_of(name: str) -> Subject:
    """A registered method with its own example, or its defaults."""
    cls = find(name)
    try:
        return Subject(name, example_of(cls), cls.off, cls.exempt)
    except InputError as error:
        raise InputError(f"{name} must declare a strategy to check, example = '{name}(...)': {error}") from error


def check(subject: Subject, names: Iterable[str] = CHECKS) -> Report:
    """Run the named checks on one subject."""
    started = time.perf_counter()
    findings = tuple(run_check(name, subject) for name in names)
    return Report(subject, findings, time.perf_counter() - started)


def check_all() -> list[Report]:
    """Every registered method, plugins loaded before included."""
    return [check(subject_of(name)) for name in methods()]


def render(reports: Sequence[Report], *, markdown: bool = False) -> str:
    """A table of checks with reasons for each method, and a closing sentence; as Markdown for a pull request."""
    parts = []
    for report in reports:
        title = f"{report.subject.strategy} ({report.seconds:.1f} s)"
        rows = [
            (", ".join(names) if markdown else fill(", ".join(names), 40), SIGNS[status], escaped(reason, markdown))
            for (status, reason), names in grouped(report.findings).items()
        ]
        table = tabulate(rows, ("check", "result", "reason"), "github" if markdown else "simple", disable_numparse=True)
        parts.append(f"### `{report.subject.strategy}`\n\n{table}" if markdown else f"{title}\n{table}")
    return "\n\n".join([*parts, summary(reports)])


def escaped(reason: str, markdown: bool) -> str:
    """A reason for a cell of a table."""
    return reason.replace("|", "\\|") if markdown else reason


def grouped(findings: Iterable[Finding]) -> dict[tuple[str, str], list[str]]:
    """Checks by what they found, so that a cause that many checks run into stands once."""
    groups: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        groups.setdefault((finding.status, finding.reason), []).append(finding.check)
    return groups


def summary(reports: Sequence[Report]) -> str:
    """One sentence: how many methods passed, and which failed on what."""
    failed = [f"{r.subject.name} ({', '.join(f.check for f in r.failures)})" for r in reports if r.failures]
    passed = len(reports) - len(failed)
    total = sum(report.seconds for report in reports)
    text = f"{passed} of {len(reports)} methods pass in {total:.1f} s"
    return f"{text}; failed: {'; '.join(failed)}" if failed else text
