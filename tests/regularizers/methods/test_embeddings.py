"""r3f, smart and freelb against passes that are given the moved embeddings, and what they share."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

from regularizers.base import Context
from regularizers.methods._divergence import divergence
from regularizers.strategy import parse


def probabilities(logits):
    rows = [[math.exp(x - max(row)) for x in row] for row in logits.tolist()]
    return [[x / sum(row) for x in row] for row in rows]


def slow_kl(first, second):
    """KL(first || second), example by example and class by class, mean over the batch."""
    pairs = zip(probabilities(first), probabilities(second), strict=True)
    return sum(a * math.log(a / b) for p, q in pairs for a, b in zip(p, q, strict=True)) / len(first)


def slow_distance(first, second):
    """What r3f and smart penalise: both divergences, or twice the squared difference of a regression."""
    if first.shape[1] == 1:
        return sum(2 * (a - b) ** 2 for a, b in zip(first.flatten(), second.flatten(), strict=True)).item() / len(first)
    return slow_kl(first, second) + slow_kl(second, first)


class Passes:
    """A trial's model, asked with embeddings in place of token ids; `draw` repeats the trial's noise."""

    def __init__(self, trial):
        self.trial, self.batch = trial, trial.batches[0]
        self.table = trial.model.bert.embeddings.word_embeddings.weight[self.batch["input_ids"]].detach()
        self.state = trial.context.generator.get_state()
        self.generator = torch.Generator()
        self.generator.set_state(self.state)
        trial.model.train()

    def logits(self, move=0.0):
        rest = {name: self.batch[name] for name in ("attention_mask", "token_type_ids")}
        return self.trial.model(inputs_embeds=self.table + move, **rest).logits

    def task(self, logits):
        labels = self.batch["labels"]
        return mse_loss(logits.squeeze(1), labels.double()) if logits.shape[1] == 1 else cross_entropy(logits, labels)

    def draw(self, noise):
        empty = torch.empty(self.table.shape, dtype=torch.float64)
        return (
            empty.normal_(generator=self.generator)
            if noise == "normal"
            else empty.uniform_(-1, 1, generator=self.generator)
        )

    def loss(self):
        self.trial.context.generator.set_state(self.state)
        return self.trial.bound.loss(self.batch).loss


OUTPUTS = pytest.mark.parametrize("outputs", [3, 1])


@OUTPUTS
def test_divergence_is_half_the_distance(outputs, numbers):
    first, second = numbers(5, outputs), numbers(5, outputs, seed=1)
    labels = torch.zeros(5) if outputs == 1 else torch.zeros(5, dtype=torch.long)
    assert float(divergence(first, second, labels)) == pytest.approx(slow_distance(first, second) / 2, rel=1e-12)
    assert float(divergence(first, first, labels)) == 0


@OUTPUTS
@pytest.mark.parametrize("noise", ["uniform", "normal"])
def test_r3f_compares_with_a_noisy_pass(outputs, noise, lab):
    passes = Passes(lab(f"r3f(2, eps=0.1, noise={noise})", outputs=outputs))
    clean, noisy = passes.logits(), passes.logits(0.1 * passes.draw(noise))
    expected = passes.task(clean).item() + 2 * slow_distance(clean, noisy)
    assert passes.loss().item() == pytest.approx(expected, rel=1e-10)


@OUTPUTS
def test_smart_compares_with_the_worst_pass(outputs, lab):
    passes = Passes(lab("smart(2, step=0.1, sigma=0.01)", outputs=outputs))
    clean = passes.logits().detach()
    z = (0.01 * passes.draw("normal")).requires_grad_()
    log_p, log_q = clean.log_softmax(1), passes.logits(z).log_softmax(1)
    raised = (log_p.exp() * (log_p - log_q)).sum() / 4 if outputs > 1 else (passes.logits(z) - clean).square().mean()
    (slope,) = torch.autograd.grad(raised, z)
    change = torch.zeros_like(slope)
    for row in range(4):
        for token in range(6):
            if passes.batch["attention_mask"][row, token]:
                change[row, token] = 0.1 * slope[row, token] / slope[row, token].abs().max()
    assert change.abs().max() == pytest.approx(0.1)
    expected = passes.task(clean).item() + 2 * slow_distance(clean, passes.logits(change))
    assert passes.loss().item() == pytest.approx(expected, rel=1e-9)


@OUTPUTS
@pytest.mark.parametrize("k", [1, 3])
def test_freelb_averages_along_an_ascent(outputs, k, lab):
    passes = Passes(lab(f"freelb({k}, lr=0.2, magnitude=0.3)", outputs=outputs))
    move = passes.draw("uniform")
    for row, mask in enumerate(passes.batch["attention_mask"]):
        move[row] *= 0.3 / math.sqrt(int(mask.sum()) * 16)
        move[row, mask == 0] = 0
    losses, names = [], dict(passes.trial.model.named_parameters())
    for _ in range(k):
        move = move.detach().requires_grad_()
        losses.append(passes.task(passes.logits(move)))
        (slope,) = torch.autograd.grad(losses[-1], move, retain_graph=True)
        steps = [0.2 * row / math.sqrt(sum(x * x for x in row.flatten().tolist())) for row in slope]
        move = move.detach() + torch.stack(steps)
    expected = sum(losses) / k
    assert passes.loss().item() == pytest.approx(expected.item(), rel=1e-10)
    ours = torch.autograd.grad(passes.loss(), names["classifier.weight"])[0]
    torch.testing.assert_close(
        ours, torch.autograd.grad(expected, names["classifier.weight"])[0], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("text", ["r3f(1)", "smart(1)", "freelb(2)"])
def test_nothing_is_added_after_an_error(text, lab):
    trial = lab(text)
    with pytest.raises(KeyError):
        trial.term.loss(lambda batch: batch["nothing"], trial.batches[0], trial.context)
    assert trial.term._embeddings.offset is None


@pytest.mark.parametrize("text", ["r3f(1, eps=0.1)", "smart(1, step=0.1)", "freelb(3)", "neftune(5)"])
def test_both_tables_of_an_encoder_and_decoder_are_moved(text, family_model, batch):
    model, head = family_model("t5")
    bound = parse(text).bind(Context(model.double(), head, torch.Generator().manual_seed(1)))
    assert bound.attach()[text] == ["transformer.encoder.embed_tokens", "transformer.decoder.embed_tokens"]
    plain = model.eval()(**batch).loss.item()
    model.train()
    assert bound.loss(batch).loss.item() != plain
