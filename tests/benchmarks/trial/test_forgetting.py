"""Forgetting against the loss of the checkpoint's own class on single texts, and what asking for it leaves alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from benchmarks.planning.plan import Request
from benchmarks.planning.suite import FisherRecipe
from benchmarks.planning.suite_file import load_suite, override
from benchmarks.pocket import CORPUS, MODEL_DIR
from benchmarks.trial import forgetting, models
from benchmarks.trial.forgetting import find_texts, measure
from benchmarks.trial.inputs import Resources
from benchmarks.trial.trial import attach
from fisher.estimation.estimate import draw_samples
from fisher.pretraining.corpus import read_corpus
from leaderboard.records.store import read_record, write_record

ASKED = FisherRecipe(samples=9, seed=3)
TEXTS = replace(ASKED, objective="mlm", corpus=str(CORPUS))


def mean_loss(model: Any) -> float:
    """Without batches, without selecting positions: every text alone, all logits."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL_DIR)
    asked: dict[str, Any] = {"samples": 9, "seed": 3, "max_length": model.config.max_position_embeddings}
    losses = []
    for sample in draw_samples(tokenizer, read_corpus(str(CORPUS)), "mlm", sentinels="spans", **asked).samples:
        inputs = {name: value[None] for name, value in sample.items() if name not in ("labels", "positions")}
        log_p = model(**inputs).logits[0].log_softmax(-1)
        losses.append(-log_p[sample["positions"], sample["labels"]].mean().item())
    return sum(losses) / len(losses)


def test_the_loss_is_that_of_the_checkpoint_with_the_fine_tuned_body(make_configs, resources: Resources) -> None:
    (config,) = make_configs("mixout(w_pre, 0.5)")
    model, head = models.build(resources.model, 2, seed=0, head_init="normal")
    strategy, _ = attach(config, resources, model, head, 10)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    weights = forgetting.plain_weights(strategy)
    own = transformers.AutoModelForMaskedLM.from_pretrained(MODEL_DIR).eval()
    with torch.inference_mode():
        before = mean_loss(own)
        shared = {name.removeprefix("bert."): value for name, value in weights.items() if name.startswith("bert.")}
        own.bert.load_state_dict({name: value for name, value in shared.items() if "pooler" not in name})
        after = mean_loss(own)
    found = measure(resources.model, TEXTS, strategy)
    assert (found["objective"], found["samples"]) == ("mlm", 9)
    assert found["before"] == pytest.approx(before, abs=2e-5) and found["after"] == pytest.approx(after, abs=2e-5)
    assert after > before + 0.01


def test_asking_for_it_changes_neither_the_trial_nor_its_result(train, resources: Resources, tmp_path: Path) -> None:
    plain, asked = (train("none", epochs=1, on=on) for on in (resources, replace(resources, forgetting=TEXTS)))
    found = read_record(write_record(tmp_path, asked))["result"].pop("forgetting")
    assert found["after"] != found["before"] > 0
    for record in (plain, asked):
        for key in ("seconds", "peak_memory", "forgetting"):
            record["result"].pop(key, None)
    assert json.dumps(plain["result"]) == json.dumps(asked["result"]) and plain["config"] == asked["config"]


def test_the_checkpoints_objective_is_found_and_its_model_loaded_once(
    source: models.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, load = [], forgetting.load_pretrained
    monkeypatch.setattr(forgetting, "load_pretrained", lambda *given: loaded.append(given) or load(*given))
    forgetting.load.cache_clear()
    assert find_texts(source, ASKED) == TEXTS
    assert loaded == [(source.reference, "mlm")]


def test_a_model_without_its_pretraining_head_is_refused(tmp_path: Path, refusal) -> None:
    body = transformers.AutoModel.from_pretrained(MODEL_DIR)
    body.save_pretrained(tmp_path / "bare")
    transformers.AutoTokenizer.from_pretrained(MODEL_DIR).save_pretrained(tmp_path / "bare")
    bare = models.find_model(str(tmp_path / "bare"), offline=True)
    for corpus, message in (
        (str(CORPUS), "with the head of the pretraining, and bare has none"),
        ("", "forgetting must have texts to be measured on: give --set fisher_corpus=FILE"),
    ):
        assert message in refusal(find_texts, bare, replace(ASKED, corpus=corpus))


def test_a_suite_asks_for_it_and_records_without_it_do_not_suffice() -> None:
    suite = override(load_suite("pocket"), {}, ["forgetting=true"])
    assert suite.forgetting and "forgetting = true" in suite.to_toml()
    request = object.__new__(Request)
    object.__setattr__(request, "suite", suite)
    record: dict[str, Any] = {"config": {}, "result": {"status": "ok"}}
    assert not request.suffices(record)
    assert request.suffices(record | {"result": {"status": "ok", "forgetting": None}})
    assert request.suffices(record | {"config": {"floor": {}}}) and request.suffices({"result": {"status": "skipped"}})
