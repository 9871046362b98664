"""Label new texts with a model of `regbench try`.

example:
  regbench predict results/reviews/model --input new.csv --output predictions.csv

The input is CSV, TSV or JSON lines with the text columns that the model was fitted on. The output has one row per input
row, in the same order: the label and the probability of every class, or the score.

exit codes: 0 every row has a prediction; 2 the request was wrong
"""

import argparse
import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.executors import variables
from fisher.common.command import Command
from fisher.common.errors import InputError, require
from fisher.common.files import require_writable, write_file

BATCH = 64
ABOUT = "regbench.json"  # next to the weights, written by `regbench try`


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("model", metavar="DIR", help="folder of the model")
    parser.add_argument("--input", required=True, metavar="FILE", help="CSV, TSV or JSON lines")
    parser.add_argument("--output", required=True, metavar="FILE.csv", help="file to write")


def run(args: argparse.Namespace) -> None:
    """Write the predictions."""
    variables.settle()
    require_writable(Path(args.output))
    rows = predict(Path(args.model), Path(args.input))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_file(Path(args.output), text.getvalue())
    print(f"{len(rows) - 1} rows written to {args.output}")


def predict(folder: Path, file: Path) -> list[list[Any]]:
    """The header and one row per row of `file`. Raises InputError for a folder or a file that is not as it must be."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from benchmarks.data.batches import encode, evaluation_batches
    from benchmarks.data.sources import load_test
    from benchmarks.data.tasks import SUFFIXES, Files, Task
    from benchmarks.trial.models import Source, load
    from benchmarks.trial.tokenizer import load_tokenizer

    about = read_about(folder)
    require(file.suffix.lower() in SUFFIXES, f"--input must be a file ending in {', '.join(SUFFIXES)}", file)
    labels = about["labels"]
    files = Files(test=str(file))
    task = Task("new", tuple(about["text"]), labels and tuple(labels), "", files=files, kind="own")
    source = Source(str(folder.resolve()), folder.name, offline=True)
    examples, tokenizer = load_test(task), load_tokenizer(source)
    model = load(AutoModelForSequenceClassification, source).eval()
    must, outputs = f"{folder} must have one output for each label of {ABOUT}", model.config.num_labels
    require(outputs == len(labels or [None]), must, f"{outputs} for {labels}")
    encoded = encode(examples, tokenizer, about["max_length"])
    found = torch.empty(len(examples), model.config.num_labels)
    with torch.inference_mode():
        for positions, batch in evaluation_batches(encoded, BATCH, model.config.pad_token_id or 0):
            batch.pop("labels")
            found[torch.tensor(positions)] = model(**batch).logits.float()
    if labels is None:
        return [["score"], *([round(value, 6)] for value in found.squeeze(-1).tolist())]
    shares = found.softmax(-1)
    chosen = [labels[at] for at in shares.argmax(-1).tolist()]
    header = ["label", *(f"probability of {word}" for word in labels)]
    return [header, *([word, *(round(p, 6) for p in row)] for word, row in zip(chosen, shares.tolist(), strict=True))]


def read_about(folder: Path) -> dict[str, Any]:
    """What the model was fitted on: text columns, labels, length. Raises InputError for another folder."""
    require(os.path.isdir(folder), f"{folder} must be the folder of a model made by regbench try, and is no folder")
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        text, labels, length = (about[key] for key in ("text", "labels", "max_length"))
        if _are_words(text) and (labels is None or _are_words(labels)) and isinstance(length, int) and length > 0:
            return {"text": text, "labels": labels, "max_length": length}
        raise ValueError("values of other types")
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(f"{folder} must be a model made by regbench try, but it holds no usable {ABOUT}") from None


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(word, str) for word in value)


main = Command("regbench predict", __doc__, add_flags, run)

if __name__ == "__main__":
    raise SystemExit(main())
