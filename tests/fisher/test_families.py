"""Fisher scores of every family with a site table: the estimator against differences, and a score for every site."""

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from fisher.estimation.accumulate import accumulate, batches_agree
from fisher.estimation.diagonal import empirical_fisher
from fisher.pretraining.checkpoint import head_class
from fisher.pretraining.objectives import collate, objective_loss
from fisher.scores import Scores, base_names
from regularizers.base import Context
from regularizers.strategy import parse
from regularizers.surgery.site_tables import TABLES
from regularizers.testing.tiny_families import OWN_ATTENTION, tiny_config, tiny_family

MASK = 3
LENGTHS = (7, 4, 6)
EXACT = (1e-5, 1e-5, 1e-10)  # step of the differences, relative tolerance of them, and of batches
SINGLE = (1e-3, 1e-3, 1e-3)  # norms or attention of these compute in float32 whatever the model's type
SINGLE_PRECISION = ("deberta", "eurobert", "gemma2", "llama", "modernbert", "t5")


@pytest.fixture(params=TABLES)
def case(request):
    """(family, pretraining model in float64, samples, loss); weights are large enough for every tensor to matter."""
    family, generator = request.param, torch.Generator().manual_seed(7)
    config = tiny_config(family)
    masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    objective = "seq2seq" if config.is_encoder_decoder else "mlm" if masked else "causal"
    attention = "eager" if family in (*OWN_ATTENTION, "gemma2") else "sdpa"
    with torch.random.fork_rng():
        model = head_class(objective).from_config(config, attn_implementation=attention).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1.0)
    return family, model, [sample(objective, length, generator) for length in LENGTHS], objective_loss(objective)


def sample(objective, length, generator):
    ids = torch.randint(4, 30, (length,), generator=generator)
    inputs = {"input_ids": ids, "attention_mask": torch.ones(length, dtype=torch.int64)}
    if objective == "causal":
        return {**inputs, "labels": ids[1:]}
    if objective == "seq2seq":
        target = torch.randint(4, 30, (4,), generator=generator)
        return {
            **inputs,
            "decoder_input_ids": torch.cat([torch.zeros(1, dtype=torch.int64), target[:-1]]),
            "labels": target,
        }
    positions = torch.tensor([1, length - 2])
    return {**inputs, "input_ids": ids.index_fill(0, positions, MASK), "positions": positions, "labels": ids[positions]}


def slopes(model, samples, loss, parameter, at, step):
    """d loss_k / d parameter[at] of every sample k, by central differences."""
    entry, found = parameter.data.view(-1), []
    start = float(entry[at])
    for one in samples:
        values = []
        for sign in (1, -1):
            entry[at] = start + sign * step
            values.append(float(loss(model, collate([one])).sum()))
        entry[at] = start
        found.append((values[0] - values[1]) / (2 * step))
    return torch.tensor(found, dtype=torch.float64)


@torch.no_grad()
def test_the_estimator_squares_the_slopes_of_single_samples(case):
    family, model, samples, loss = case
    step, tolerance, close = SINGLE if family in SINGLE_PRECISION else EXACT
    with torch.enable_grad():
        diagonal = empirical_fisher(model, samples, loss)
        batched = accumulate(model, samples, loss).diagonal()
        assert family in SINGLE_PRECISION or batches_agree(model, samples[:2], loss), "not one computation twice"
    largest = max(float(value.max()) for value in diagonal.values())
    parameters = dict(model.named_parameters())
    assert diagonal.keys() == batched.keys() == parameters.keys()
    for name, value in diagonal.items():
        assert torch.allclose(batched[name], value, rtol=close, atol=1e-6 * close * largest), name
    for name in list(parameters)[::3]:
        at = int(diagonal[name].argmax())  # of a table of embeddings, a row that occurs
        expected = slopes(model, samples, loss, parameters[name], at, step).square().mean()
        got = diagonal[name].view(-1)[at]
        assert torch.allclose(got, expected, rtol=10 * tolerance, atol=tolerance * 1e-3 * largest), name


def test_every_site_of_the_classifier_has_a_score(case):
    family, model, samples, loss = case
    values = base_names(accumulate(model, samples, loss).diagonal(), model.base_model_prefix)
    classifier, head = tiny_family(family)
    bound = parse("guided_dropout(0, 0.3)").bind(Context(classifier, head, fisher={"estimate": Scores(values)}))
    touched = bound.attach()
    rates = sorted(bound.terms[0][0].site_rates(bound.terms[0][1]), key=lambda site: site.score)
    body = [site for site in rates if site.kind != "head"]
    assert all(touched.values()) and len(body) > 2 and all(site.score > 0 for site in body)
    assert [site.p for site in body] == sorted((site.p for site in body), reverse=True)
    assert body[0].p == pytest.approx(0.3) and body[-1].p == pytest.approx(0.0)
