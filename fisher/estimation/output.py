"""An estimate as a file: shown while it is made, resumed where it was interrupted, not made twice."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fisher.common.errors import InputError
from fisher.common.progress import progress
from fisher.estimation.accumulate import Report
from fisher.estimation.convergence import convergence_lines
from fisher.scores import Scores, load_scores, save_scores

Make = Callable[[Path, Report], Scores]  # (where unfinished work is kept, called after each batch) -> scores


def produce(output: Path, wanted: Mapping[str, Any], samples: int, make: Make) -> Scores:
    """The scores that `output` holds if they are those `wanted`, else those that are made now and written there.

    Args:
        wanted: metadata that tell this request from others.
        samples: how many there are to show the progress of.
    Raises:
        InputError: `output` holds something else, or cannot be written; what `make` raises.
    """
    scores = existing(output, wanted)
    if scores is None:
        partial = output.with_name(output.name + ".partial")
        with progress("samples", samples) as advance:
            scores = make(partial, lambda state: advance(state.done))
        save_scores(output, scores.values, scores.metadata)
        partial.unlink(missing_ok=True)
    print("\n".join(convergence_lines(scores.metadata.get("convergence", []))))
    return scores


def existing(output: Path, wanted: Mapping[str, Any]) -> Scores | None:
    """Scores that the output holds already, if they are those that are asked for.

    Raises:
        InputError: the output holds something else.
    """
    if not output.exists():
        return None
    scores = load_scores(output)
    changed = sorted(name for name, value in wanted.items() if scores.metadata.get(name) != value)
    if changed:
        raise InputError(
            f"{output} holds scores of another request ({', '.join(changed)} differ): remove it or choose another"
        )
    return scores
