"""What lies in the output folder of a run: records, the request, the plan, and what was set aside."""

import os
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data.official import DataHash, compare_hashes, remember_hashes
from benchmarks.executors.leases import Leases
from fisher.common.errors import InputError, require
from fisher.common.files import write_atomic
from leaderboard.records.labels import LABELS, encode_labels, read_labels
from leaderboard.records.methods import METHODS, encode_methods, read_methods
from leaderboard.records.plan import PLAN, encode_plan, joined, plan_of, read_plan
from leaderboard.records.schema import RecordError, is_done
from leaderboard.records.store import ARCHIVE, find_records, set_aside, stream_records

HASHES = "split_hashes.json"
WAIT = 0.1  # seconds between two looks at a lease


@dataclass(frozen=True)
class Known:
    """The records of a folder: by name whether their trials need no other try, their checksums, and unusable files.

    archives: those among the records, which no run uses.
    """

    done: Mapping[str, bool]
    checksums: Mapping[str, str]
    problems: list[RecordError]
    archives: list[str]

    def left(self, names: Iterable[str]) -> list[str]:
        """The trials to do; those that ended in an error before come last."""
        return sorted((name for name in names if not self.done.get(name)), key=lambda name: name in self.done)


@dataclass(frozen=True)
class OutputFolder:
    """The output folder of a run, which other launchers may share."""

    path: Path

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.path / "records"

    def files(self) -> list[str]:
        """The records here, one a file."""
        return self._found()[0]

    def _found(self) -> tuple[list[str], list[str]]:
        """The records here, one a file, and the archives of records."""
        found = find_records([self.path]) if os.path.isdir(self.records) else []
        return [path for path in found if path.endswith(".json")], [path for path in found if path.endswith(ARCHIVE)]

    def read(self) -> Iterator[dict[str, Any]]:
        """The usable records here."""
        for record in stream_records(self.files()):
            if not isinstance(record, RecordError):
                yield record

    def known(self, planned: Container[str], suffices: Callable[[Mapping[str, Any]], bool]) -> Known:
        """What is here, of planned trials and others; a record that does not suffice for the request is not done."""
        done, checksums, problems = dict[str, bool](), dict[str, str](), list[RecordError]()
        files, archives = self._found()
        for record in stream_records(files, planned=planned):
            if isinstance(record, RecordError):
                problems.append(record)
            else:
                done[record["id"]] = is_done(record) and suffices(record)
                checksums[record["id"]] = record["checksum"]
        return Known(done, checksums, problems, archives)

    def check(self, new_hashes: Sequence[DataHash]) -> None:
        """Raise InputError where the folder is none, or began with other data."""
        usable = os.path.isdir(self.path) or not os.path.lexists(self.path)
        require(usable, "--output must be a folder that can be written", f"{self.path}: Not a directory")
        if new_hashes:
            compare_hashes(self.path / HASHES, new_hashes)

    def keep_request(
        self,
        suite: str,
        methods: Mapping[str, Any],
        configs: Iterable[Mapping[str, Any]],
        new_hashes: Sequence[DataHash],
        labels: Mapping[str, Sequence[Any]],
    ) -> None:
        """Make the folder and store the request: suite, methods, plan, hashes of data seen for the first time, labels.

        labels: of the dev sets on which several trials may be scored together, by their hash.
        """
        try:
            self.records.mkdir(parents=True, exist_ok=True)
            with Leases(self.path) as leases:
                while leases.claim(PLAN) is None:  # another launcher adds to the same files
                    time.sleep(WAIT)
                if new_hashes:  # first: they may refuse the request
                    remember_hashes(self.path / HASHES, new_hashes)
                write_atomic(self.path / "suite.toml", suite.encode("utf-8"))
                self._extend(methods, configs, labels)
        except OSError as error:
            problem = error.strerror or str(error)
            raise InputError(f"--output must be a folder that can be written, got {self.path}: {problem}") from None

    def _extend(
        self, methods: Mapping[str, Any], configs: Iterable[Mapping[str, Any]], labels: Mapping[str, Sequence[Any]]
    ) -> None:
        """Add this request to what `methods.json`, `plan.json` and `labels.json` say."""
        (known, faults), (plan, others) = read_methods([self.path]), read_plan([self.path])
        labelled, wrong = read_labels([self.path])
        self.set_aside([*faults, *others, *wrong])
        if labels:
            write_atomic(self.path / LABELS, encode_labels({**labelled, **labels}))
        write_atomic(self.path / METHODS, encode_methods({**known, **methods}))
        write_atomic(self.path / PLAN, encode_plan(joined([plan, plan_of(configs)])))

    def set_aside(self, problems: Iterable[RecordError]) -> None:
        """Move files that cannot be read out of the way, and say so."""
        for kept in set_aside(problems, self.path / "set_aside"):
            print(f"warning: set aside {kept}", file=sys.stderr)
