"""What a tournament leaves in its folder: the answer, the page of what is still ranked, and the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.choosing import answer as answers
from benchmarks.choosing.answer import Answer, Gain, dev_variance, gain, points
from benchmarks.choosing.model import fit_on_all, model_card, save
from benchmarks.choosing.rules import PLAIN, Standing
from benchmarks.choosing.tournament import Tournament, trials_of
from benchmarks.data.splits import TEST_SHARE
from benchmarks.trial.inputs import labels_of
from fisher.common.errors import require
from fisher.common.files import write_file
from leaderboard.build import build
from leaderboard.records.plan import PLAN, encode_plan, plan_of
from leaderboard.stats.metrics import METRICS


def keep_page(tournament: Tournament) -> None:
    """Build the usual files from the rounds of the families that are still ranked, and of the floors."""
    shown = {trial.id for trial in trials_of({**tournament.found, **tournament.floors})}
    plan = plan_of(config.to_json() for name, config in tournament.grid.items() if name in shown)
    write_file(tournament.folder / PLAN, encode_plan(plan))
    paths = [path for path in tournament.request.folder.files() if Path(path).stem in shown]
    build(paths, tournament.folder, baseline=PLAIN)


def comparison(tournament: Tournament) -> Callable[[Standing, Standing], Gain]:
    """How two families are compared on the test part."""
    data, fitted = tournament.data, (1 - TEST_SHARE) * (1 - tournament.tuning.holdout)

    def compare(one: Standing, other: Standing) -> Gain:
        pairs = list(zip(one.chosen, other.chosen, strict=False))  # the restarts that both have, from 0 on
        differences = [a.score - b.score for a, b in pairs]
        if not data.dev:
            return gain(differences, shared=TEST_SHARE / fitted)
        whole = [(a, b) for a, b in pairs if len(a.predictions) == len(b.predictions) == len(data.dev)]
        ones, others = [a.predictions for a, _ in whole], [b.predictions for _, b in whole]
        score = METRICS[data.task.primary]
        rows = dev_variance(ones, others, labels_of(data.dev), score) if whole else 0.0
        return gain(differences, shared=0.0, rows=rows)

    return compare


def keep_answer(tournament: Tournament) -> tuple[Answer, list[str]]:
    """Write `answer.md` and return what it says. Raises InputError where plain fine-tuning has no result."""
    data, found, dropped = tournament.data, tournament.found, tournament.state.dropped
    reasons = "; ".join(f"{family}: {why}" for family, why in list(dropped.items())[:3])
    require(found, f"plain fine-tuning must have a result to compare with, but its trials ended in errors: {reasons}")
    compare = comparison(tournament)
    answer = answers.choose(found, compare)
    floor = answers.next_to_floor(answer.standing, tournament.floors, compare)
    lines = answers.sentences(answer, found, dropped, len(data.train) + len(data.dev), floor)
    measured = [f"- {name}: {text}" for name, text in facts(tournament, answer).items()]
    table = answers.table(found, compare, tournament.floors)
    text = "\n".join([f"# {data.task.name}", "", *(f"{line}\n" for line in lines), *table, "", *measured])
    write_file(tournament.folder / "answer.md", text + "\n")
    return answer, lines


def facts(tournament: Tournament, answer: Answer) -> dict[str, str]:
    """How the scores were measured."""
    data, played = tournament.data, tournament.state.ranked
    chosen, rows = answer.standing.chosen, len(data.train)
    scores = [trial.score for trial in chosen]
    tested = 0 if data.dev else round(TEST_SHARE * rows)
    held = round(tournament.tuning.holdout * (rows - tested))
    found = {
        "metric": f"{data.task.primary}, shown x 100",
        "test": "the dev file" if data.dev else f"a fifth of the {rows} rows, another one in every restart",
        "holdout": f"about {held} of the {rows - tested} other rows, which choose; the remaining ones are fitted on",
        "restarts": f"{played.restarts}, with {played.budget} configuration{'s' * (played.budget > 1)} per family",
        "intervals": "for other rows like these; those of index.html are over these restarts alone, and narrower",
        "configuration": "one for all restarts; on index.html every restart chooses its own",
        "failed": "a run that is no better than a constant prediction",
        "score of this configuration on the test rows": f"{100 * sum(scores) / len(scores):.1f} (mean over restarts)",
    }
    if more := len(chosen) - played.restarts:
        both = f"`{PLAIN}` and `{answer.rival}`, each with the configuration that was its best by then"
        found["final"] = f"{more} more restart{'s' * (more > 1)} of {both}; they are in the gain, not on index.html"
    if answer.gain is not None:
        found[f"{answer.rival} over plain fine-tuning"] = points(answer.gain)
    return found


def keep_model(tournament: Tournament, answer: Answer, lines: Sequence[str]) -> None:
    """Fit the chosen configuration on all rows and save it with its card."""
    data, config = tournament.data, tournament.grid[answer.standing.chosen[0].id]
    fitted = fit_on_all(config, tournament.request.resources(), data)
    card = model_card(config, data, fitted, lines, facts(tournament, answer))
    save(fitted, data, tournament.folder / "model", max_length=config.protocol.max_length, card=card)
