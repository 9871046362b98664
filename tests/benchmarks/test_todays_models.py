"""Today's encoders and decoders from their files to the leaderboard: tiny random checkpoints, tokenizers made here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast, XLNetConfig

from benchmarks import choose, predict
from benchmarks.run import main
from regularizers.testing.tiny_families import tiny_config

WORDS = [
    "the",
    "a",
    "dog",
    "cat",
    "sees",
    "hears",
    "likes",
    "small",
    "big",
    "red",
    "old",
    "house",
    "tree",
    "man",
    "here",
]
SPECIAL = ["<pad>", "</s>", "<s>", "<unk>"]  # padding 0, end 1, begin 2, as the tiny configs have them
RAN = {"ok", "failed"}  # a run that learned nothing is a result
STRATEGIES = ["none", "dropout(0.1) + wdecay(0, 0.01)", "mixout(w_pre, 0.7)", "gaussian_dropout(0.1) + lora(2, 4)"]


def save_tokenizer(folder: Path, *, first: bool) -> None:
    """One token per word, with a begin token first for encoders."""
    words = {word: at for at, word in enumerate([*SPECIAL, *WORDS])}
    rules = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    if first:
        pair = [("<s>", 2), ("</s>", 1)]
        rules.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> $B </s>", pair)
    special = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rules, cls_token="<s>" if first else None, **special)
    tokenizer.save_pretrained(folder)


def save_model(folder: Path, config: object) -> None:
    """The body of a random checkpoint."""
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForSequenceClassification.from_config(config)
    model.base_model.save_pretrained(folder)


def save_checkpoint(folder: Path, family: str) -> None:
    """A random checkpoint as it would be published: a decoder's has no padding token."""
    decoder = family in ("llama", "qwen3")
    save_model(folder, tiny_config(family) if not decoder else tiny_config(family, pad_token_id=None))
    save_tokenizer(folder, first=not decoder)


@pytest.fixture
def request_words(tmp_path: Path, write_task: Callable[..., str]) -> list[str]:
    """A request on a task of our own with two classes, on the model in `tmp_path / model`."""
    rows = [f"the {WORDS[2 + at % 2]} sees the {WORDS[at % len(WORDS)]}\t{at % 2}" for at in range(24)]
    files = ["--task-file", write_task(tmp_path, rows, labels=["0", "1"]), "--model", str(tmp_path / "model")]
    grid = ["--restarts", "1", "--fractions", "1.0", "--workers", "1", "--offline", "--output", str(tmp_path / "out")]
    return [*files, *grid, "--set", "epochs=1", "max_length=10"]


@pytest.fixture
def results(records_in: Callable[..., dict[str, dict[str, Any]]]) -> Callable[[Path], dict[str, dict[str, Any]]]:
    """{strategy: result} of an output folder."""
    return lambda folder: {r["config"]["strategy"]: r["result"] for r in records_in(folder).values()}


@pytest.mark.parametrize(
    "family",
    ["llama", "modernbert", *(pytest.param(name, marks=pytest.mark.long) for name in ("qwen3", "xlm-roberta"))],
)
def test_a_small_grid_from_files_to_leaderboard(
    family: str, tmp_path: Path, request_words: list[str], results: Callable[..., dict[str, dict[str, Any]]]
) -> None:
    save_checkpoint(tmp_path / "model", family)
    assert main([*request_words, "--strategies", *STRATEGIES]) == 0
    found = results(tmp_path / "out")
    assert found.keys() == set(STRATEGIES)
    assert {result["status"] for result in found.values()} <= RAN, [result["reason"] for result in found.values()]
    assert all(result["touched"] for result in found.values())
    assert "mixout(w_pre, 0.7)" in (tmp_path / "out" / "leaderboard.md").read_text()


@pytest.mark.long
@pytest.mark.parametrize("family", ["llama", "qwen3", "modernbert", "xlm-roberta"])
def test_a_tuned_suite_and_an_answer_on_ones_own_rows(
    family: str,
    tmp_path: Path,
    request_words: list[str],
    records_in: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    save_checkpoint(tmp_path / "model", family)
    assert main([*request_words, "--tune", "2", "--strategies", "none", "mixout(w_pre)"]) == 0
    tuned = records_in(tmp_path / "out").values()
    assert {record["result"]["status"] for record in tuned} <= RAN
    drawn = {(r["config"]["tuning"]["family"], r["config"]["tuning"]["draw"]) for r in tuned if r["config"]["tuning"]}
    assert drawn >= {(family, draw) for family in ("none", "mixout(w_pre)") for draw in (0, 1)}
    assert "tuned (2)" in (tmp_path / "out" / "leaderboard.md").read_text()

    model, out = ["--model", str(tmp_path / "model"), "--offline"], tmp_path / "answer"
    own = [str(tmp_path / "train.tsv"), "--text", "text", "--label", "label", *model, "--output", str(out)]
    learnable = ["--lr", "5e-3", "1e-2", "--epochs", "15", "20", "--set", "max_length=10", "batch_size=4"]
    assert choose.main([*own, "--trials", "12", "--families", "mixout(w_pre)", "--workers", "1", *learnable]) == 0
    assert (out / "answer.md").read_text().startswith("#")
    fitted = AutoModelForSequenceClassification.from_pretrained(out / "model")
    assert fitted.config.model_type == family
    assert all(p.isfinite().all() for p in fitted.parameters())
    predicted = tmp_path / "predicted.csv"
    words = ["--input", str(tmp_path / "train.tsv"), "--output", str(predicted)]
    assert predict.main([str(out / "model"), *words]) == 0
    assert len(predicted.read_text().splitlines()) == len((tmp_path / "train.tsv").read_text().splitlines())


def test_a_family_without_a_table_skips_what_needs_one_or_discovers_it(
    tmp_path: Path,
    request_words: list[str],
    printed: Callable[..., str],
    results: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    save_model(tmp_path / "model", XLNetConfig(vocab_size=30, d_model=8, n_layer=1, n_head=2, d_inner=12, **ends))
    save_tokenizer(tmp_path / "model", first=False)
    assert "xlnet has no site table" in printed(main, *request_words, "--strategies", "none", "dropout(0.1)")
    found = results(tmp_path / "out")
    assert found["none"]["status"] in RAN
    assert found["dropout(0.1)"]["status"] == "skipped"
    reason = str(found["dropout(0.1)"]["reason"])
    assert reason.startswith("dropout(0.1) needs the dropout sites")
    assert reason.endswith("xlnet has no site table; --set sites=discovered looks for them by structure")
    argv = [*request_words, "sites=discovered", "--strategies", "dropout(0.1)", "--output", str(tmp_path / "other")]
    assert "sites=discovered found in xlnet: 4 dropout sites" in printed(main, *argv)
    (result,) = results(tmp_path / "other").values()
    assert result["status"] in RAN
