"""A corpus as documents: one line of a text file, or one row of a hub data set, is one document.

A line with one tab is a pair of segments, which the tokenizer joins as it joins sentence pairs.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from fisher.common.errors import InputError, named, require
from fisher.common.files import read_text
from fisher.pretraining.objectives import Text
from fisher.seeds import generator


def read_corpus(source: str | Path) -> list[Text]:
    """The documents of a UTF-8 text file (its lines that are not blank) or of HUB_ID[:config[:split]] (column "text").

    Raises:
        InputError: the file is absent, binary or without text; the data set cannot be loaded or has no text.
    """
    path = Path(source)
    documents = read_lines(path) if os.path.exists(path) else read_hub(str(source))
    require(documents, f"corpus {source} holds no text: give a file with one document a line")
    return documents


def read_lines(path: Path) -> list[Text]:
    with named("corpus"):
        text = read_text(path)
    return [as_text(line) for line in (line.strip() for line in text.split("\n")) if line]


def as_text(line: str) -> Text:
    first, *rest = line.split("\t")
    return (first, rest[0]) if len(rest) == 1 else line


def read_hub(name: str) -> list[Text]:
    """Documents of a hub data set; `datasets` is only needed here."""
    identifier, config, split = [*name.split(":"), "", ""][:3]
    require(
        "/" in identifier and not identifier.startswith((".", "/")) and not identifier.endswith(".txt"),
        f"there is no corpus file {name}: give a text file or a hub data set HUB_ID[:config:split]",
    )
    from datasets import load_dataset

    try:
        rows = load_dataset(identifier, config or None, split=split or "train")
        column = rows["text"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"corpus {name} is no file and cannot be loaded from the hub as a data set with a column text: {error}"
        ) from error
    return [line for line in (" ".join(text.split()) for text in column) if line]


def corpus_hash(texts: Sequence[Text]) -> str:
    """SHA-256 over the documents, one a line (the parts of a pair separated by a tab)."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(("\t".join([text] if isinstance(text, str) else text) + "\n").encode())
    return digest.hexdigest()


def subsample_order(available: int, seed: int) -> list[int]:
    """A seeded permutation of the documents: n samples are its first n (that leave something to predict)."""
    return torch.randperm(available, generator=generator(seed, "subsample")).tolist()
