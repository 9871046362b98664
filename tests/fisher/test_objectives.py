"""Samples: what is masked, that it depends on (seed, index) alone, and the losses."""

import re
from itertools import pairwise

import pytest
import torch

from fisher.pretraining.corruption import draw_single_tokens, draw_spans, mask_tokens, partition, replace_spans
from fisher.pretraining.objectives import IGNORE, build_sample, collate, objective_loss
from fisher.seeds import generator
from tests.fisher.conftest import OBJECTIVE, build_samples


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_sample_depends_on_seed_and_index_alone(family, family_tokenizer, random_texts):
    tokenizer, texts, objective = family_tokenizer(family), random_texts(6, shortest=9), OBJECTIVE[family]
    together = build_samples(tokenizer, texts, objective, max_length=32, seed=2)
    alone = build_sample(tokenizer, texts[4], objective, max_length=32, rng=generator(2, objective, 4))
    assert equal(alone, together[4])
    if objective != "causal":
        other = build_samples(tokenizer, texts, objective, max_length=32, seed=3)
        assert not all(equal(a, b) for a, b in zip(together, other, strict=True))


def test_masking_has_the_shares_of_bert():
    ids = torch.full((200_000,), 7)
    maskable = torch.arange(len(ids)) % 2 == 0
    corrupted, positions = mask_tokens(ids, maskable, 3, 40, generator("test"))
    assert maskable[positions].all()
    assert len(positions) / maskable.sum() == pytest.approx(0.15, abs=0.005)
    at = corrupted[positions]
    assert (at == 3).double().mean() == pytest.approx(0.8 + 0.1 / 40, abs=0.01)
    assert (at == 7).double().mean() == pytest.approx(0.1 + 0.1 / 40, abs=0.01)
    rest = torch.ones(len(ids), dtype=torch.bool)
    rest[positions] = False
    assert torch.equal(corrupted[rest], ids[rest])


def test_every_sample_predicts_something_and_special_tokens_never(family_tokenizer):
    tokenizer = family_tokenizer("bert")
    samples = build_samples(tokenizer, ["w1 [SEP]"] * 200, "mlm", max_length=32, seed=0)
    for sample in samples:
        assert sample["positions"].tolist() == [1] and sample["labels"].tolist() == [tokenizer.vocab["w1"]]


def test_pairs_are_joined_as_the_tokenizer_joins_them(family_tokenizer):
    sample = build_samples(family_tokenizer("bert"), [("w1 w2", "w3")], "mlm", max_length=32, seed=0)[0]
    assert len(sample["input_ids"]) == 6


def test_truncation_and_padding_fixed_in_a_tokenizer_are_overruled(family_tokenizer):
    tokenizer = family_tokenizer("bert")
    tokenizer.backend_tokenizer.enable_padding(length=10)
    tokenizer.backend_tokenizer.enable_truncation(max_length=10)
    short, long = build_samples(tokenizer, ["w1 w2", "w1 " * 20], "mlm", max_length=16, seed=0)
    assert (len(short["input_ids"]), len(long["input_ids"])) == (4, 16)


@pytest.mark.parametrize("length", [2, 3, 7, 20, 100])
def test_spans_cover_15_per_cent_and_never_touch(length):
    spans = draw_spans(length, generator(length))
    corrupted = sum(end - start for start, end in spans)
    assert corrupted == min(max(round(0.15 * length), 1), length - 1)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert spans[0][0] > 0 and spans[-1][1] <= length


def test_partition_is_uniform_over_all_sums():
    rng = generator("partition")
    counts = {}
    for _ in range(3000):
        parts = tuple(partition(5, 3, rng))
        counts[parts] = counts.get(parts, 0) + 1
    assert len(counts) == 6 and all(sum(parts) == 5 for parts in counts)
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_single_tokens_have_a_sentinel_each():
    spans = draw_single_tokens(20, generator(1))
    assert len(spans) == 3 and all(end == start + 1 for start, end in spans)


def test_spans_are_replaced_and_repeated_behind_their_sentinels():
    inputs, targets = replace_spans([1, 2, 3, 4, 5, 6], [(1, 3), (5, 6)], [90, 91])
    assert (inputs, targets) == ([1, 90, 4, 5, 91], [90, 2, 3, 91, 6])


def test_span_samples_of_t5_end_both_sides_and_start_the_decoder(family_tokenizer):
    tokenizer = family_tokenizer("t5")
    sample = build_samples(tokenizer, ["w1 w2 w3 w4 w5 w6"], "seq2seq", max_length=32, seed=0)[0]
    end, first = tokenizer.eos_token_id, tokenizer.vocab["<extra_id_0>"]
    assert sample["input_ids"][-1] == end and sample["labels"][-1] == end
    assert sample["labels"][0] == first and first in sample["input_ids"]
    assert sample["decoder_input_ids"].tolist() == [tokenizer.pad_token_id, *sample["labels"].tolist()[:-1]]
    rng = generator(0)
    single = build_sample(tokenizer, "w1 " * 14, "seq2seq", max_length=32, rng=rng, sentinels="single-token")
    assert len(single["labels"]) == 5  # two sentinels, a token behind each, the end


def test_reductions(case):
    model, samples, _ = case("bert", 4)
    batch = collate(samples)
    counts = torch.tensor([len(sample["labels"]) for sample in samples])
    mean, total = (objective_loss("mlm", reduction=name)(model, batch) for name in ("mean", "sum"))
    assert torch.allclose(mean * counts, total)


def test_tied_logits_are_hidden_states_times_word_embeddings(family_model, family_tokenizer, random_texts):
    model = family_model("bert").bert.eval()
    samples = build_samples(family_tokenizer("bert"), random_texts(3), "mlm-tied", max_length=32, seed=1)
    found = objective_loss("mlm-tied")(model, collate(samples))
    for loss, sample in zip(found, samples, strict=True):
        inputs = {name: sample[name][None] for name in ("input_ids", "attention_mask")}
        hidden = model(**inputs).last_hidden_state[0, sample["positions"]]
        logits = hidden @ model.embeddings.word_embeddings.weight.T
        assert torch.allclose(loss, torch.nn.functional.cross_entropy(logits, sample["labels"]), rtol=1e-4)


def test_collate_pads_on_the_right():
    first = {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor([4]), "attention_mask": torch.ones(3)}
    second = {"input_ids": torch.tensor([5]), "labels": torch.tensor([6, 7]), "attention_mask": torch.ones(1)}
    batch = collate([first, second], pad_id=9)
    assert batch["input_ids"].tolist() == [[1, 2, 3], [5, 9, 9]]
    assert batch["labels"].tolist() == [[4, IGNORE], [6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def sample_of(tokenizer, objective, text="w1 w2"):
    return build_samples(tokenizer, [text], objective, max_length=8, seed=0)[0]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda model, bert, gpt2: objective_loss("nsp"), "must be one of mlm, mlm-tied, causal, seq2seq, got 'nsp'"),
        (lambda *_: objective_loss("mlm", reduction="max"), "reduction must be one of mean, sum, got 'max'"),
        (lambda model, bert, gpt2: sample_of(gpt2, "mlm"), "a tokenizer with a mask token"),
        (lambda model, bert, gpt2: sample_of(bert, "seq2seq"), "sentinel tokens <extra_id_0>"),
        (
            lambda model, bert, gpt2: objective_loss("mlm")(model.bert, collate([sample_of(bert, "mlm")])),
            "needs a masked-LM head, and BertModel has none: use mlm-tied",
        ),
        (
            lambda *_: replace_spans([1, 2, 3], [(0, 1), (2, 3)], [90]),
            "needs 2 sentinels but the tokenizer has 1: lower the maximal length",
        ),
    ],
)
def test_bad_requests_have_their_sentences(ask, message, family_tokenizer, family_model, refusal):
    assert re.search(message, refusal(ask, family_model("bert"), family_tokenizer("bert"), family_tokenizer("gpt2")))


def test_a_text_of_one_token_leaves_nothing_to_predict(family_tokenizer):
    assert sample_of(family_tokenizer("gpt2"), "causal", "w1") is None
