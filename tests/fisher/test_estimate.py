"""The estimate command: results, resuming, and what it says to bad requests."""

import itertools
import json
import re
import shutil

import pytest
import torch

from fisher.estimate import main
from fisher.estimation import estimate as module
from fisher.estimation import output
from fisher.estimation.diagonal import empirical_fisher
from fisher.estimation.estimate import draw_samples, estimate, number_of_samples, resolve_length
from fisher.pretraining.checkpoint import checkpoint_hash, load_pretrained
from fisher.pretraining.objectives import objective_loss
from fisher.scores import load_scores
from tests.fisher.conftest import MODELS, OBJECTIVE


@pytest.fixture
def corpus(tmp_path, random_texts):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(random_texts(30)) + "\n")
    return path


@pytest.fixture
def command(tmp_path, corpus, model_folder):
    def make(family="bert", *, output="scores.safetensors", **options):
        settings = {"model": model_folder(family), "corpus": corpus, "objective": OBJECTIVE[family], "samples": 12}
        given = [(f"--{name}", str(value)) for name, value in (settings | options).items() if value is not None]
        return [*itertools.chain(*given), "--output", str(tmp_path / output)]

    return make


@pytest.mark.parametrize("family, prefix", [("bert", "bert"), ("gpt2", "transformer"), ("t5", "transformer")])
def test_the_file_holds_the_reference_values_and_all_that_identifies_them(family, prefix, command, tmp_path, capsys):
    assert main(command(family)) == 0
    scores = load_scores(tmp_path / "scores.safetensors")
    folder, objective = command(family)[1], command(family)[5]
    model, tokenizer = load_pretrained(folder, objective)
    texts = (tmp_path / "corpus.txt").read_text().splitlines()
    drawn = draw_samples(tokenizer, texts, objective, samples=12, seed=0, max_length=32, sentinels="spans")
    reference = empirical_fisher(model, drawn.samples, objective_loss(objective))
    assert list(scores.values) == [name.removeprefix(f"{prefix}.") for name in reference]
    largest = max(float(value.mean()) for value in reference.values())
    for name, value in reference.items():
        found = scores.values[name.removeprefix(f"{prefix}.")]
        assert torch.allclose(found.double().mean(), value.mean(), rtol=1e-4, atol=1e-8 * largest), name
    said = {"kind": "empirical", "objective": objective, "reduction": "mean", "samples": 12, "seed": 0}
    said |= {"corpus_size": 30, "weights": checkpoint_hash(folder)}
    assert scores.metadata | said == scores.metadata
    assert [row["samples"] for row in scores.metadata["convergence"]] == [1, 2, 3, 6, 12]
    out, err = capsys.readouterr()
    assert "| 12 | 1.000 | 1.000 | 1.000 | - | - |" in out and "samples: 12 of 12" in err


def test_scores_of_mlm_and_mlm_tied_have_the_same_names(command, tmp_path):
    assert main(command(samples=2, output="own")) == 0
    assert main(command(samples=2, output="tied", objective="mlm-tied")) == 0
    own, tied = (load_scores(tmp_path / name) for name in ("own", "tied"))
    assert set(tied.values) < set(own.values)
    assert all(name.startswith("cls.") for name in set(own.values) - set(tied.values))


def test_a_request_that_is_done_is_not_done_again(command, tmp_path, monkeypatch, refused):
    assert main(command()) == 0
    before = (tmp_path / "scores.safetensors").read_bytes()
    monkeypatch.setattr(module, "estimate", None)
    assert main(command()) == 0
    assert (tmp_path / "scores.safetensors").read_bytes() == before
    said = refused(main, *command(seed=1))
    assert "holds scores of another request (seed differ): remove it or choose another" in said


def test_an_interrupted_estimate_goes_on_and_gives_the_same_file(command, tmp_path, monkeypatch, capsys, refused):
    assert main(command(output="whole", **{"batch-tokens": 20})) == 0
    monkeypatch.setattr(output, "INTERVAL", 0.0)
    batches = itertools.count(1)

    def interrupt(state):
        if next(batches) == 5:
            raise KeyboardInterrupt

    real = module.estimate
    monkeypatch.setattr(module, "estimate", lambda *args, **options: real(*args, **{**options, "report": interrupt}))
    assert main(command(output="cut", **{"batch-tokens": 20})) == 130
    assert (tmp_path / "cut.partial").exists() and not (tmp_path / "cut").exists()
    assert "Run the same command again to resume." in capsys.readouterr().err

    said = refused(main, *command(output="cut", seed=3, **{"batch-tokens": 20}))
    assert "holds an unfinished estimate of another request (seed differ): finish that one" in said
    monkeypatch.setattr(module, "estimate", real)
    assert main(command(output="cut", **{"batch-tokens": 20})) == 0
    assert not (tmp_path / "cut.partial").exists()
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_an_unreadable_unfinished_estimate_is_said(command, tmp_path, refused):
    (tmp_path / "scores.safetensors.partial").write_text("?")
    assert "should hold an unfinished estimate but cannot be read: remove it" in refused(main, *command())


def test_kinds_other_than_empirical(command, tmp_path):
    assert main(command(kind="mc", output="mc")) == 0
    assert main(command(kind="mc", output="small", **{"batch-tokens": 1})) == 0
    mc, small = load_scores(tmp_path / "mc"), load_scores(tmp_path / "small")
    for name, value in mc.values.items():
        assert torch.allclose(small.values[name], value, rtol=1e-3, atol=1e-9), name
    assert main(command(kind="exact", samples=1, output="exact")) == 0
    exact = load_scores(tmp_path / "exact")
    assert exact.metadata["kind"] == "exact" and exact.metadata.get("convergence") is None


def test_means_alone_give_the_same_tensor_scores(command, tmp_path, refused):
    assert main(command(output="whole")) == 0
    assert main([*command(output="means"), "--means"]) == 0
    whole, means = load_scores(tmp_path / "whole"), load_scores(tmp_path / "means")
    assert all(value.ndim == 0 for value in means.values.values())
    assert means.tensor_scores() == pytest.approx(whole.tensor_scores(), rel=1e-6)
    said = refused(main, *command(output="whole"), "--means")
    assert "holds scores of another request (values differ)" in said


def test_another_way_of_corrupting_is_another_request(command, refused):
    assert main(command("t5", samples=2)) == 0
    said = refused(main, *command("t5", samples=2, sentinels="single-token"))
    assert "holds scores of another request (sentinels differ)" in said


def test_documents_that_leave_nothing_to_predict_are_passed_over(model_folder, refusal):
    scores = estimate(model_folder("gpt2"), ["w1", "w1 w2", "w3 w4", "w5"], objective="causal", samples=2)
    assert scores.metadata["samples"] == 2 and scores.metadata["skipped"] <= 2
    assert re.search(
        r"samples must be at most 2, the documents .* that leave something to predict, got 3",
        refusal(estimate, model_folder("gpt2"), ["w1", "w1 w2", "w3 w4", "w5"], objective="causal", samples=3),
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (number_of_samples(1000, None, 0.01), 10),
        (number_of_samples(20, None, 0.01), 1),  # rounded, and at least one
        (number_of_samples(20, 7, None), 7),
        (resolve_length(MODELS["bert"][1], None), 32),
        (resolve_length(MODELS["t5"][1], None), 512),  # it has no largest length
        (resolve_length(MODELS["gpt2"][1], 20), 20),
    ],
)
def test_numbers_and_lengths(found, expected):
    assert found == expected


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"samples": None, "share": 0}, r"error: share must be in \(0, 1\], got 0.0"),
        ({"samples": None, "share": 1.5}, r"error: share must be in \(0, 1\], got 1.5"),
        ({"seed": -1}, "error: --seed must be at least 0, got -1"),
        ({"batch-tokens": 0}, "error: --batch-tokens must be at least 1, got 0"),
        ({"device": "nosuch"}, r"error: --device must be one that torch can use here \(cpu, cuda, ...\), got 'nosuch'"),
        ({"device": "meta"}, "error: --device must be one that torch can use here"),
        ({"samples": 0}, "error: samples must be in 1..30, the documents of the corpus, got 0"),
        ({"samples": 31}, "error: samples must be in 1..30, the documents of the corpus, got 31"),
        ({"max-length": 33}, "error: max_length must be at least 4 and at most 32, the positions of the model, got 33"),
        ({"max-length": 3}, "error: max_length must be at least 4 and at most 32"),
        ({"corpus": "absent.txt"}, "error: there is no corpus file absent.txt"),
        ({"output": "corpus.txt/scores"}, "error: .* cannot be written"),
        ({"model": "absent/model/folder"}, "error: model absent/model/folder cannot be loaded"),
        ({"objective": "causal"}, "error: objective causal does not fit"),
    ],
)
def test_bad_requests_end_with_one_sentence_and_code_2(options, sentence, command, refused):
    assert re.match(sentence, refused(main, *command(**options)))


def test_a_tokenizer_of_another_model_is_noticed(model_folder, tmp_path, random_texts, refusal):
    folder = tmp_path / "mixed"
    shutil.copytree(model_folder("bert"), folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["w1"] = 99
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert re.search(
        r"token ids must be below 45, the rows of the model's embeddings, but .* gives 99",
        refusal(estimate, folder, ["w1 w1 w1 w1 w1 w1 w1 w1"], samples=1),
    )


def test_the_small_real_encoder(shared_data, real_bert, refusal):
    corpus = shared_data / "corpus" / "wikitext2_valid_plain.txt"
    texts = corpus.read_text(encoding="utf-8").splitlines()
    assert "use mlm-tied" in refusal(estimate, real_bert, texts, objective="mlm", samples=2)
    scores = estimate(real_bert, texts, objective="mlm-tied", samples=2, max_length=32)
    assert len(scores.values) == 103 and all(bool(torch.isfinite(value).all()) for value in scores.values.values())
