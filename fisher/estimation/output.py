"""An estimate as a file: shown while it is made, saved now and then, resumed where it was interrupted, not made twice.

A file is written whole or not at all, and one of another request is refused.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from fisher.common.errors import InputError, require
from fisher.common.files import write_file
from fisher.common.progress import progress
from fisher.estimation.accumulate import Prepare, Report, State, accumulate, unchanged
from fisher.estimation.convergence import convergence, convergence_lines
from fisher.pretraining.objectives import Loss, Sample
from fisher.scores import Scores, load_scores, save_scores

INTERVAL = 30.0  # seconds between two savings, or 20 times as long as a saving takes
Make = Callable[[Path, Report], Scores]  # (where unfinished work is kept, called after each batch) -> scores


def produce(output: Path, wanted: Mapping[str, Any], samples: int, make: Make) -> Scores:
    """The scores that `output` holds if they are those `wanted`, else those that are made now and written there.

    Args:
        wanted: metadata that tell this request from others.
        samples: how many there are to show the progress of.
    Raises:
        InputError: `output` holds something else, or cannot be written; what `make` raises.
    """
    if output.exists():
        scores = load_scores(output)
        changed = sorted(name for name, value in wanted.items() if scores.metadata.get(name) != value)
        differ = f"{output} holds scores of another request ({', '.join(changed)} differ)"
        require(not changed, f"{differ}: remove it or choose another")
    else:
        partial = output.with_name(output.name + ".partial")
        with progress("samples", samples) as advance:
            scores = make(partial, lambda state: advance(state.done))
        save_scores(output, scores.values, scores.metadata)
        partial.unlink(missing_ok=True)
    print("\n".join(convergence_lines(scores.metadata.get("convergence", []))))
    return scores


def save_state(path: Path, state: State, recipe: Mapping[str, Any]) -> None:
    note = {
        "recipe": recipe,
        "done": state.done,
        "loss": state.loss,
        "noted": state.noted,
        "tensors": list(state.total),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.total.items()}
    write_file(path, save(tensors, metadata={"unfinished": json.dumps(note, sort_keys=True)}))


def load_state(path: Path, recipe: Mapping[str, Any], device: str) -> State | None:
    """The saved state, or None where there is none.

    Raises:
        InputError: the file is damaged or belongs to another request.
    """
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt", device=device) as file:
            note = json.loads((file.metadata() or {})["unfinished"])
            total = {name: file.get_tensor(name) for name in note["tensors"]}
        changed = sorted(name for name, value in recipe.items() if note["recipe"].get(name) != value)
        noted = {int(samples): scores for samples, scores in note["noted"].items()}
        state = State(total, note["done"], note["loss"], noted)
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} should hold an unfinished estimate but cannot be read: remove it") from error
    require(
        not changed,
        f"{path} holds an unfinished estimate of another request ({', '.join(changed)} differ): finish that one, "
        "remove the file, or choose another output",
    )
    return state


def accumulate_resumably(
    model: Any,
    samples: Sequence[Sample],
    loss: Loss,
    recipe: Mapping[str, Any],
    *,
    partial: Path | None,
    report: Report,
    prepare: Prepare = unchanged,
) -> State:
    """`fisher.estimation.accumulate` from where `partial` stands, saved there now and then; `recipe` says what of."""
    due = time.monotonic() + INTERVAL

    def after_batch(state: State) -> None:
        nonlocal due
        begin = time.monotonic()
        if partial and begin >= due:
            save_state(partial, state, recipe)
            end = time.monotonic()
            due = end + max(INTERVAL, 20 * (end - begin))
        report(state)

    return accumulate(
        model,
        samples,
        loss,
        batch_tokens=recipe["batch_tokens"],
        state=load_state(partial, recipe, str(model.device)) if partial else None,
        prepare=prepare,
        report=after_batch,
    )


def measured_of(state: State) -> dict[str, Any]:
    """What an estimate gives besides the diagonal: the mean loss and how soon the ranking settled."""
    return {"loss": state.loss / state.done, "convergence": convergence(state.noted)}
