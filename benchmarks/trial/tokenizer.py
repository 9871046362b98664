"""The tokenizer of a model: loaded whole or refused, and checked against the model and the texts."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from benchmarks.trial.models import Source, load
from fisher.common.errors import require
from regularizers.surgery.site_tables import FAMILIES

SMALLEST_SHARE = 0.6  # of the embedding's rows that a tokenizer has words for (ByT5: 259 of 384)
MOST_UNKNOWN = 0.2
SAMPLE = 1000  # texts looked at for unknown words
FILES = "tokenizer.json, or vocab.txt, vocab.json and merges.txt, spiece.model"
READS_FIRST = {name for name, family in FAMILIES.items() if family.reads == "first"}


@functools.lru_cache(maxsize=2)
def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Raises InputError where its files are missing: transformers would make an empty one."""
    tokenizer: PreTrainedTokenizerBase = load(AutoTokenizer, source)
    require(
        len(tokenizer) > len(tokenizer.all_special_tokens),
        f"the model {source.reference!r} must bring its tokenizer's files ({FILES})",
        "a tokenizer without words",
        "put them next to its weights",
    )
    content = backend(tokenizer).get("model", {})
    require(
        content.get("type") != "BPE" or content.get("merges"),
        f"the tokenizer of {source.reference!r} must have merges, and has none: is merges.txt there?",
    )
    return tokenizer


def check_tokenizer(source: Source, tokenizer: PreTrainedTokenizerBase, model: Any) -> list[str]:
    """Raise InputError unless the tokenizer is that of the model, as far as sizes and special tokens can say.

    Returns a warning where it has clearly fewer words than the model has embeddings.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    size = 1 + max(tokenizer.get_vocab().values())
    its = f"the tokenizer of {source.reference!r}"
    require(size <= rows, f"{its} must have at most the {rows} tokens of the model's embedding, and has {size}")
    require(
        size >= SMALLEST_SHARE * rows,
        f"{its} must be the model's own: it has {size} tokens, the model's embedding {rows}",
    )
    _check_special(its, source, tokenizer, model)
    short = size < 0.9 * rows and "byt5" not in type(tokenizer).__name__.lower()
    return [f"{its} has {size} tokens, the model's embedding {rows}: is its file whole?"] if short else []


def _check_special(its: str, source: Source, tokenizer: PreTrainedTokenizerBase, model: Any) -> None:
    """Raise InputError where padding or first token are not those that the model was made for."""
    if source.family in READS_FIRST:
        pads, wanted = tokenizer.pad_token_id, model.config.pad_token_id
        require(
            pads is None or wanted is None or pads == wanted,
            f"{its} must pad with the model's token {wanted}, and pads with {pads}: it is another's",
        )
        first = tokenizer("a")["input_ids"][:1]
        require(
            tokenizer.cls_token_id is not None and first == [tokenizer.cls_token_id],
            f"{its} must put a class token first, which {source.family} reads, and puts none",
        )


def unknown_words(tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]]) -> str | None:
    """A sentence where more than a fifth of the tokens of `texts` are unknown (a spread sample of them), or None."""
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return None
    spread = [text for row in texts[:: -(-len(texts) // SAMPLE)] for text in row]
    encoded = tokenizer(spread, add_special_tokens=False, truncation=True, max_length=512)["input_ids"]
    counts = [(ids.count(unknown), len(ids)) for ids in encoded]
    share = sum(count for count, _ in counts) / max(1, sum(length for _, length in counts))
    if share <= MOST_UNKNOWN:
        return None
    worst = max(range(len(counts)), key=lambda at: (counts[at][0] / max(1, counts[at][1]), -at))
    seen = " ".join(tokenizer.convert_ids_to_tokens(encoded[worst][:6]))
    return f"{share:.0%} of the tokens of the training texts are unknown: {spread[worst][:40]!r} is read as {seen!r}"


def backend(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The rules of a tokenizer of the library `tokenizers`; empty for one in Python."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    return content
