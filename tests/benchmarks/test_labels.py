"""Labels of dev sets next to records: a run leaves them where trials can be joined."""

import csv
from pathlib import Path

import pytest

from benchmarks.planning import plan as planning
from benchmarks.run import main
from leaderboard.records.labels import LABELS, read_labels

TINY = ("--tasks", "pocket-rte", "--fractions", "0.02", "--set", "epochs=1", "--strategies", "none", "--restarts", "2")


@pytest.mark.parametrize(("splits", "kept"), [("1", True), ("2", False)])
def test_labels_are_kept_where_restarts_share_a_split(tmp_path: Path, splits: str, kept: bool) -> None:
    request = planning.resolve(main.parser().parse_args([*TINY, "--split-seeds", splits, "--output", str(tmp_path)]))
    planning.make_plan(request).keep(request)
    assert (tmp_path / LABELS).is_file() == kept


def test_a_run_whose_restarts_share_a_split_has_their_ensemble(tmp_path: Path) -> None:
    assert main([*TINY, "--split-seeds", "1", "--output", str(tmp_path)]) == 0
    found, faults = read_labels([tmp_path])
    (labels,) = found.values()
    assert faults == [] and len(labels) == 400
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        (line,) = [line for line in csv.DictReader(file) if line["rule"] == "seeds"]
    assert (line["strategy"], line["restarts"]) == ("ensemble(none, 2 seeds)", "1")
