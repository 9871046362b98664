"""Find out what to fine-tune with on your own data, and get the model.

examples:
  regbench try reviews.csv --text review --label sentiment --model bert-base-uncased
  regbench try pairs.jsonl --text question answer --label score --regression --model FOLDER --time 2h
  regbench try reviews.csv --text review --label sentiment --model MODEL --dry-run
  regbench predict results/reviews/model --input new.csv --output predictions.csv

A tournament: families of regularizers, each tuned with the same effort, over restarts; what is far behind on held-out
rows leaves. The answer is printed and is in answer.md, next to the page (index.html) and the records; the chosen
configuration, fitted on all rows, is in model/. Without --dev every restart cuts its own test part.

exit codes: 0 every trial has a result; 1 some ended in an error or no model came out, the answer is given all the same;
2 the request was wrong; 130 interrupted: run the same command again to resume
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import options, tracking
from benchmarks.executors import variables
from benchmarks.run import warn
from fisher.common.command import Command, Flags, add, number, several, switch
from fisher.common.errors import InputError, require

if TYPE_CHECKING:  # torch and transformers are loaded where a request is carried out, not for --help
    from benchmarks.choosing.tournament import Tournament

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TIME = "30m"


def duration(text: str) -> float:
    """The type of a flag that takes a time with its unit, in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"must be a time such as 90s, 30m or 2h, got {text}")
    return float(found[1]) * UNITS[found[2]]


DATA: Flags = {
    "--text": {"nargs": "+", "required": True, "metavar": "COLUMN", "help": "one column, or two for pairs"},
    "--label": {"required": True, "metavar": "COLUMN", "help": "the column of labels"},
    "--dev": {"metavar": "FILE", "help": "rows to score on; default: every restart cuts its own test part"},
    "--labels": {"nargs": "+", "default": [], "metavar": "WORD", "help": "the classes, where the column cannot say"},
    "--regression": switch("the labels are scores"),
    **options.DROP_ROWS,
    "--metric": {
        "metavar": "NAME",
        "help": "default: accuracy, macro_f1 for more than two classes, spearman for scores",
    },
}
LIMIT: Flags = {
    "--time": {
        "type": duration,
        "default": TIME,
        "metavar": "30m",
        "help": f"how long it may take (default {TIME})",
    },
    "--trials": {"type": number(1), "metavar": "N", "help": "number of trials, in place of a time"},
}
TOURNAMENT: Flags = {
    "--families": {"nargs": "+", "metavar": "SUM", "help": "what is compared with plain fine-tuning"},
    "--lr": {"nargs": 2, "type": float, "metavar": ("LOW", "HIGH"), "help": "learning rates that are searched"},
    "--epochs": {"nargs": "+", "type": number(1), "metavar": "N", "help": "numbers of epochs that are searched"},
    "--set": several("KEY=VALUE", "fields of the protocol"),
    **options.PLUGIN,
    "--offline": options.DATA["--offline"],
    "--output": {"metavar": "DIR", "help": "default: results/FILE's name"},
    "--dry-run": switch("say what would be done, and for how long"),
    **options.TRACKING,
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("file", metavar="FILE", help="CSV, TSV, JSON lines, or a Hugging Face data set (folder or id)")
    add(parser.add_argument_group("the data"), DATA)
    tournament = parser.add_argument_group("the tournament")
    tournament.add_argument("--model", required=True, metavar="HUB_ID|FOLDER", help="pretrained model")
    add(tournament.add_mutually_exclusive_group(), LIMIT)
    add(tournament, TOURNAMENT)
    add(parser.add_argument_group("how trials run"), options.EXECUTION)


def run(args: argparse.Namespace) -> int:
    """Read the rows, run the tournament, say what to use, and keep the model."""
    variables.settle()
    options.check(args)
    require(
        variables.processes() == 1,
        "regbench try must run without accelerate launch; it spreads its trials itself (--workers)",
    )
    from rich.console import Console

    from benchmarks.choosing.reading import read_own, task_name
    from benchmarks.choosing.rounds import in_words
    from benchmarks.choosing.tournament import Tournament

    args.output = args.output or str(Path(options.DEFAULT_OUTPUT, task_name(args.file)))
    data, found = read_own(args, Path(args.output))
    console = Console(soft_wrap=True)
    _say(console, *found, f"{len(data.train)} rows" + ("" if data.dev else ", a fifth of them to test on"))
    warn(data.warnings)
    tournament = Tournament(args, data, console)
    state, request, trial, workers = tournament.plan()
    _say(console, *request.notes)
    warn(warning for warning in request.warnings if warning not in data.warnings)
    if args.dry_run:
        _say(console, *in_words(tournament.families, args, trial, workers))
        return 0
    tournament.run(state)
    return _keep(tournament, console)


def _say(console: Any, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _keep(tournament: Tournament, console: Any) -> int:
    """Print and keep the answer, the page and the model of a tournament that has ended."""
    from benchmarks.choosing.result import keep_answer, keep_model, keep_page

    keep_page(tournament)
    answer, lines = keep_answer(tournament)
    _say(console, *lines)
    kept = ["answer.md", "index.html"]
    try:
        keep_model(tournament, answer, lines)
        kept.append("model")
    except InputError as error:
        warn([f"there is no model: {error}"])
    _say(console, *(str(tournament.folder / name) for name in kept))
    _say(console, f"took {tournament.minutes():.1f} min")
    request = tournament.request
    tracking.report(request.folder, request.args.report_to, console)
    return 0 if tournament.complete and "model" in kept else 1


main = Command("regbench try", __doc__, add_flags, run, resumes=True)

if __name__ == "__main__":
    raise SystemExit(main())
