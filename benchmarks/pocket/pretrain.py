"""Make the pocket model from nothing.

example:
  python -m benchmarks.pocket.pretrain --output DIR

A BERT with 3 layers of 96 units learns the two objectives of Devlin et al. 2019 (§3.1), masked words and next
sentence, on the corpus of `language.documents`. Written to DIR: config.json, model.safetensors (BertForPreTraining),
the tokenizer's files and pretraining.json with what was done and how well it went. One thread, about half an hour; two
runs on one machine and one torch give the same weights.

Deviations from BERT: 25 % of the words are predicted instead of 15 %, no dropout, the decay (1 - t)^0.7 of the
learning rate, initial weights N(0, 0.04^2), next-sentence negatives are unrelated by meaning instead of by distance.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForPreTraining, BertTokenizer

from benchmarks.pocket.language import documents, vocabulary
from fisher.common.command import make_parser, run_command
from fisher.common.errors import InputError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, _, CLS, SEP, MASK = range(len(SPECIAL))
IGNORED = -100
HELD_OUT_SEED = 1_000_003  # corpus seed of the held-out documents
MAX_LENGTH = 40


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the weights, apart from the machine."""

    seed: int = 0
    documents: int = 400_000
    held_out: int = 4_000
    steps: int = 11_000
    batch_size: int = 128
    lr: float = 2e-3
    warmup: int = 150
    masked: float = 0.25
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)


@dataclass(frozen=True)
class Batch:
    """Masked documents: ids, types, attention and labels (b, t), IGNORED where nothing is predicted; next (b)."""

    ids: Tensor
    types: Tensor
    attention: Tensor
    labels: Tensor
    next: Tensor


@dataclass(frozen=True)
class Corpus:
    """Documents as padded ids and token types (n, t), their lengths (n) and whether sentence 2 is unrelated (n)."""

    ids: Tensor
    types: Tensor
    lengths: Tensor
    next: Tensor


def make_tokenizer() -> BertTokenizer:
    """BERT's tokenizer over the words of the language, each of them one token."""
    vocab = {word: index for index, word in enumerate([*SPECIAL, *vocabulary()])}
    return BertTokenizer(vocab=vocab, do_lower_case=True, model_max_length=MAX_LENGTH)


def make_config() -> BertConfig:
    """3 layers x 96 units, 4 heads, feed-forward 384: 0.41 million parameters."""
    return BertConfig(
        vocab_size=len(SPECIAL) + len(vocabulary()),
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=384,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.04,
        hidden_dropout_prob=0.1,  # of fine-tuning with the checkpoint's own dropout; pretraining uses none
        attention_probs_dropout_prob=0.1,
        pad_token_id=PAD,
    )


def encode(seed: int, n: int) -> Corpus:
    """The first n documents of a corpus as [CLS] s1 [SEP] s2 [SEP]."""
    index = {word: number for number, word in enumerate(vocabulary(), start=len(SPECIAL))}
    ids = torch.full((n, MAX_LENGTH), PAD, dtype=torch.int16)
    types = torch.zeros((n, MAX_LENGTH), dtype=torch.int8)
    lengths, unrelated = torch.zeros(n, dtype=torch.long), torch.zeros(n, dtype=torch.long)
    for row, (first, second, related) in enumerate(documents(seed, n)):
        left = [CLS, *(index[word] for word in first.split()), SEP]
        right = [*(index[word] for word in second.split()), SEP]
        lengths[row], unrelated[row] = len(left) + len(right), int(not related)
        ids[row, : len(left) + len(right)] = torch.tensor(left + right)
        types[row, len(left) : len(left) + len(right)] = 1
    return Corpus(ids, types, lengths, unrelated)


def mask_words(ids: Tensor, rate: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """BERT's masking of ids (b, t): of the chosen words 80 % become [MASK], 10 % a random word, 10 % stay.

    Returns (masked ids, labels), labels IGNORED where nothing is predicted. Special tokens are never chosen.
    """
    drawn = torch.rand(ids.shape, generator=generator)
    chosen = (drawn < rate) & (ids >= len(SPECIAL))
    labels = ids.where(chosen, torch.tensor(IGNORED))
    words = torch.randint(len(SPECIAL), len(SPECIAL) + len(vocabulary()), ids.shape, generator=generator)
    share = drawn / rate  # uniform in [0, 1) among the chosen
    masked = ids.masked_fill(chosen & (share < 0.8), MASK)
    return masked.where(~(chosen & (share >= 0.8) & (share < 0.9)), words), labels


def take(corpus: Corpus, rows: Tensor, rate: float, generator: torch.Generator) -> Batch:
    """The given documents, cut to the longest of them and masked."""
    longest = int(corpus.lengths[rows].max())
    ids = corpus.ids[rows, :longest].long()
    masked, labels = mask_words(ids, rate, generator)
    return Batch(masked, corpus.types[rows, :longest].long(), (ids != PAD).long(), labels, corpus.next[rows])


def batches(corpus: Corpus, recipe: Recipe, generator: torch.Generator) -> Iterator[Batch]:
    """Endless batches; 32 shuffled batches at a time are sorted by length, so little of a batch is padding."""
    size, pool = recipe.batch_size, 32 * recipe.batch_size
    while True:
        order = torch.randperm(len(corpus.lengths), generator=generator)
        for start in range(0, len(order) - pool + 1, pool):
            rows = order[start : start + pool]
            rows = rows[corpus.lengths[rows].argsort(stable=True)].view(-1, size)
            for group in torch.randperm(len(rows), generator=generator).tolist():
                yield take(corpus, rows[group], recipe.masked, generator)


def predict(model: BertForPreTraining, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits of the masked words (m, words) and of the next sentence (b, 2; class 1 = unrelated)."""
    output = model.bert(input_ids=batch.ids, token_type_ids=batch.types, attention_mask=batch.attention)
    hidden = output.last_hidden_state[batch.labels != IGNORED]  # (m, 96)
    return model.cls.predictions(hidden), model.cls.seq_relationship(output.pooler_output)


def rate_at(step: int, recipe: Recipe) -> float:
    """Learning rate of a step (from 0): linear warm-up, then (1 - t)^0.7 with t running from 0 to 1."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    return recipe.lr * (1 - (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)) ** 0.7


def train(model: BertForPreTraining, corpus: Corpus, recipe: Recipe) -> None:
    """Pretrain in place with AdamW; prints a line every 250 steps."""
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )
    model.eval()  # no dropout
    start = time.monotonic()
    for step, batch in zip(range(recipe.steps), batches(corpus, recipe, generator), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, recipe)
        words, related = predict(model, batch)
        word_loss = cross_entropy(words, batch.labels[batch.labels != IGNORED])
        next_loss = cross_entropy(related, batch.next)
        optimizer.zero_grad()
        (word_loss + next_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 250 == 0 or step + 1 == recipe.steps:
            losses = f"masked words {word_loss.item():.3f}, next sentence {next_loss.item():.3f}"
            print(f"step {step + 1}/{recipe.steps}: {losses}, {time.monotonic() - start:.0f} s", flush=True)


@torch.no_grad()
def evaluate(model: BertForPreTraining, corpus: Corpus, recipe: Recipe) -> dict[str, float]:
    """Accuracy of the masked words, and of the next sentence on documents without masks."""
    generator = torch.Generator().manual_seed(recipe.seed)
    model.eval()
    right, total, related = 0, 0, 0
    for rows in torch.arange(len(corpus.lengths)).split(256):
        batch = take(corpus, rows, recipe.masked, generator)
        labels = batch.labels[batch.labels != IGNORED]
        right += int((predict(model, batch)[0].argmax(-1) == labels).sum())
        total += len(labels)
        plain = take(corpus, rows, 0.0, generator)
        related += int((predict(model, plain)[1].argmax(-1) == plain.next).sum())
    return {"masked_word_accuracy": right / total, "next_sentence_accuracy": related / len(corpus.lengths)}


def pretrain(output: Path, recipe: Recipe) -> None:
    """Train by the recipe and write model, tokenizer and pretraining.json.

    Raises InputError for a corpus smaller than the 32 batches that are shuffled together, or fewer than 1 step.
    """
    if recipe.steps < 1:
        raise InputError(f"--steps must be at least 1, got {recipe.steps}")
    if recipe.documents < 32 * recipe.batch_size:
        raise InputError(f"--documents must be at least {32 * recipe.batch_size}, got {recipe.documents}")
    start = time.monotonic()
    print(f"writing {recipe.documents} documents", flush=True)
    corpus, held_out = encode(recipe.seed, recipe.documents), encode(HELD_OUT_SEED, recipe.held_out)
    torch.manual_seed(recipe.seed)
    model = BertForPreTraining(make_config())
    train(model, corpus, recipe)
    scores = evaluate(model, held_out, recipe)
    model.save_pretrained(output)
    make_tokenizer().save_pretrained(output)
    facts = {
        "command": f"python -m benchmarks.pocket.pretrain --output {output.name} --seed {recipe.seed} "
        f"--steps {recipe.steps} --documents {recipe.documents}",
        "recipe": asdict(recipe),
        **scores,
        "parameters": model.num_parameters(),
        "seconds": round(time.monotonic() - start),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (output / "pretraining.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.items()), flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = make_parser("python -m benchmarks.pocket.pretrain", __doc__)
    made.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the model, made if absent")
    made.add_argument("--seed", type=int, default=Recipe.seed, metavar="N", help="default %(default)s")
    made.add_argument("--steps", type=int, default=Recipe.steps, metavar="N", help="default %(default)s")
    made.add_argument("--documents", type=int, default=Recipe.documents, metavar="N", help="default %(default)s")
    return made


def run(args: argparse.Namespace) -> None:
    """Pretrain on one thread, save and report."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    pretrain(args.output, Recipe(seed=args.seed, steps=args.steps, documents=args.documents))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
