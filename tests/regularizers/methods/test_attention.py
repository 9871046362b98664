"""AD-DROP against the authors' way: attributions by differences, ranks counted one by one; and DropHead."""

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from regularizers.context import Context, Training
from regularizers.methods.addrop import candidates, reweighted
from regularizers.methods.drophead import DropHead, head_factors
from regularizers.strategy import parse
from regularizers.surgery.noise import StepNoise

P, Q = 0.4, 0.5


def slow_candidates(row, p):
    """The seen keys (value or None) whose value is not below the floor((1 - p) n)-th smallest, counted from 0."""
    values = sorted(v for v in row if v is not None)
    floor = values[int((1 - p) * len(values) + 1e-9)]
    return [v is not None and v >= floor for v in row]


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.75, 0.9, 1.0])
def test_candidates_are_the_keys_of_highest_attribution(p, numbers):
    attribution, seen = numbers(2, 3, 5, 7), numbers(2, 3, 5, 7, seed=1) > -0.5
    seen[..., 0] = True
    got = candidates(attribution, seen, p)
    for row, visible, found in zip(*(x.flatten(0, 2).tolist() for x in (attribution, seen, got)), strict=True):
        assert found == slow_candidates([v if s else None for v, s in zip(row, visible, strict=True)], p)


@pytest.mark.parametrize(("p", "count"), [(0.1, 1), (0.7, 7), (0.9, 9)])
def test_a_share_that_is_a_whole_number_is_not_rounded_away(p, count, numbers):
    assert candidates(numbers(10), torch.ones(10, dtype=torch.bool), p).sum() == count


def test_what_is_left_has_the_softmax_of_masked_scores(numbers):
    scores, kept = numbers(4, 6), numbers(4, 6, seed=1) > 0
    kept[0], kept[1:, 2] = False, True
    got = reweighted(scores.softmax(-1), kept)
    expected = scores.masked_fill(~kept, float("-inf"))[1:].softmax(-1)
    torch.testing.assert_close(got[1:], expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(got[0], scores.softmax(-1)[0]), "where nothing is left, all is"


class Reference:
    """Eager attention with something added to the probabilities, or masks before the softmax, call by call."""

    def __init__(self):
        self.add, self.kept, self.probabilities = {}, {}, []

    def __call__(self, module, query, key, value, attention_mask, scaling=None, **options):
        at = len(self.probabilities)
        scores = query @ key.transpose(2, 3) * scaling
        scores = scores if attention_mask is None else scores + attention_mask
        if at in self.kept:
            scores = scores.masked_fill(~self.kept[at], float("-inf"))
        probabilities = scores.softmax(-1)
        self.probabilities.append(probabilities.detach())
        probabilities = probabilities + self.add.get(at, 0.0)
        return (probabilities @ value).transpose(1, 2).contiguous(), probabilities


@pytest.fixture
def reference():
    found = Reference()
    AttentionInterface.register("addrop_reference", found)
    AttentionMaskInterface.register("addrop_reference", eager_mask)
    return found


@pytest.mark.parametrize("outputs", [3, 1])
def test_it_trains_with_masks_by_the_attribution_of_a_first_pass(lab, reference, outputs):
    trial = lab(f"addrop({P}, {Q})", outputs=outputs)
    trial.model.train()
    batch = trial.batches[0]
    trial.bound.draw()
    output = trial.bound.loss(batch)
    seed = trial.term._stream.generator.initial_seed()

    model = lab("none", outputs=outputs).model.train()
    model.set_attn_implementation("addrop_reference")

    def predicted():
        reference.probabilities = []
        logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits
        return logits.max(-1).values.sum().item()

    with torch.no_grad():
        predicted()
        probabilities = reference.probabilities
        slopes, step = [torch.zeros_like(a) for a in probabilities], 1e-6
        places = [(0, 0, 0, 0), (0, 1, 5, 3), (2, 1, 3, 5), (3, 0, 5, 1)]
        for layer, slope in enumerate(slopes):
            for place in places:
                for sign in (1, -1):
                    reference.add = {layer: torch.zeros_like(slope)}
                    reference.add[layer][place] = sign * step
                    slope[place] += sign * predicted() / (2 * step)
    reference.add, generator, draws = {}, torch.Generator().manual_seed(seed), []
    fast, kept = attributions(trial, batch), {}
    for layer, (slope, got) in enumerate(zip(slopes, fast, strict=True)):
        for place in places:
            torch.testing.assert_close(got[place], slope[place], rtol=1e-5, atol=1e-8)
        draws.append(torch.rand(got.shape, generator=generator))
        chosen = torch.zeros_like(got, dtype=torch.bool)
        for row, query in enumerate(got.flatten(0, 2)):
            seen = probabilities[layer].flatten(0, 2)[row] > 0
            values = [float(v) if s else None for v, s in zip(query, seen, strict=True)]
            chosen.view(-1, chosen.shape[-1])[row] = torch.tensor(slow_candidates(values, P))
        kept[layer] = ~chosen | (draws[layer] >= Q)
        kept[layer] |= ~(kept[layer] & (probabilities[layer] > 0)).any(-1, keepdim=True)
    reference.kept = kept
    reference.probabilities = []
    logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits
    torch.testing.assert_close(output.logits, logits, rtol=1e-10, atol=1e-12)
    expected = trial.context.criterion(logits, batch["labels"])
    torch.testing.assert_close(output.loss, expected, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(logits, trial.context.compute(batch).logits)


def attributions(trial, batch):
    """What a pass of the technique notes, by autograd."""
    noise = trial.term._attentions
    noise.seen, noise.shifts = [], []
    predicted = trial.context.compute(batch).logits.max(-1).values.sum()
    slopes = torch.autograd.grad(predicted, noise.shifts)
    noise.seen = None
    return slopes


def test_every_second_step_is_plain(lab):
    trial, plain = lab("addrop(0.5, 0.9)"), lab("none")
    for step, same in enumerate((False, True, False, True)):
        trial.context.training.step = step
        trial.bound.draw()
        ours, theirs = (t.loss(trial.batches[0]).loss for t in (trial, plain))
        assert torch.allclose(ours, theirs, rtol=1e-12) == same


@pytest.mark.parametrize("text", ["addrop(0.5, 0.9)", "drophead(0.5)"])
def test_noise_on_attention_acts_in_every_family(text, family, family_model, batch):
    model, head = family_model(family)
    context = Context(model.double(), head, torch.Generator().manual_seed(1), training=Training(steps=4))
    bound = parse(text).bind(context)
    assert len(bound.attach()[text]) == {"albert": 1, "bart": 4, "t5": 4}.get(
        family, 2
    )  # shared layers; cross-attention
    evaluated = [model.eval()(**batch).logits for _ in range(2)]
    model.train()
    bound.draw()
    noisy = [bound.loss(batch).logits for _ in range(2)]
    assert torch.equal(*evaluated) and not torch.allclose(*noisy) and not torch.allclose(noisy[0], evaluated[0])


def test_frozen_weights_leave_it_its_attributions(lab):
    trial = lab("addrop(0.5, 0.9) + lp_ft(1)")
    assert trial.run(2)[0] != lab("lp_ft(1)").run(2)[0]


def test_factors_count_the_heads_that_are_left():
    kept = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=torch.float64)
    expected = [[1, 1, 1, 1], [2, 0, 0, 2], [0, 4, 0, 0], [1, 1, 1, 1]]
    assert head_factors(kept).tolist() == expected


def test_the_mean_factor_is_1_and_examples_and_heads_differ():
    probabilities = torch.ones(4000, 3, 2, 2, dtype=torch.float64)
    term = DropHead(0.4)
    term._stream = StepNoise()
    factors = term.noise(torch.nn.Identity(), probabilities)
    assert torch.equal(factors, factors[:, :, :1, :1].expand_as(factors))
    one = factors[:, :, 0, 0]
    assert set(one.unique().tolist()) == {0.0, 1.0, 1.5, 3.0}
    torch.testing.assert_close(one.mean(0), torch.ones(3, dtype=torch.float64), rtol=0, atol=7 * 0.9 / 4000**0.5)
    dropped = ((one == 0).sum(1) / 3).mean().item()
    assert dropped == pytest.approx(0.4 - 0.4**3, abs=0.04)  # where all would go, none goes


def test_a_dropped_head_adds_nothing_to_the_layers_output(lab, monkeypatch):
    """Against the layer's own projection with the columns of the head set to 0 and the other's doubled."""
    kept = torch.tensor([[0.0, 1.0]] * 4, dtype=torch.float64)
    monkeypatch.setattr(DropHead, "noise", lambda self, module, x: x * head_factors(kept)[:, :, None, None])
    trial, plain = lab("drophead(0.5)"), lab("none")
    with torch.no_grad():
        for layer in plain.model.bert.encoder.layer:
            layer.attention.output.dense.weight[:, :8] = 0.0  # a head is 8 wide
            layer.attention.output.dense.weight[:, 8:] *= 2
    trial.model.train(), plain.model.train()
    one, two = (t.context.compute(t.batches[0]).logits for t in (trial, plain))
    torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-13)
