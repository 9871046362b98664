"""r3f, smart, freelb, neftune and hype against passes that are given the moved inputs, and what they share."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import regularizers.methods.neftune
from regularizers.context import FAMILY_FREE, Context
from regularizers.methods._divergence import divergence
from regularizers.methods.hype import HyPe
from regularizers.methods.neftune import magnitude, token_lengths
from regularizers.strategy import parse
from regularizers.surgery.forward import prepare


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


def test_magnitude_counts_the_real_tokens_of_each_example():
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    lengths = token_lengths((2, 4), mask, ())
    assert lengths.tolist() == [[3, 3, 3, 0], [1, 0, 0, 0]]
    sizes = magnitude(lengths.double(), 8, 5.0)
    expected = [[5 / math.sqrt(24)] * 3 + [0], [5 / math.sqrt(8), 0, 0, 0]]
    torch.testing.assert_close(sizes, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)
    assert token_lengths((1, 4), None, (1, 3)).tolist() == [[1, 3, 3, 3]]
    assert token_lengths((2, 3), None, ()).tolist() == token_lengths((2, 3), mask, ()).tolist() == [[3] * 3] * 2


def test_word_embeddings_get_the_noise(lab):
    passes = Passes(lab("neftune(5)"))
    move, mask = passes.draw("uniform"), passes.batch["attention_mask"]
    for row, length in enumerate(mask.sum(1).tolist()):
        move[row] *= 5 / math.sqrt(length * 16)
    move[mask == 0] = 0
    assert passes.trial.touched == ["bert.embeddings.word_embeddings"]
    assert passes.loss().item() == pytest.approx(passes.task(passes.logits(move)).item(), rel=1e-10)


def test_packed_batches_get_the_same_magnitudes(lab, monkeypatch):
    monkeypatch.setattr(regularizers.methods.neftune, "noise_like", lambda x, *_: torch.ones_like(x))
    trial, packed = lab("neftune(5)"), lab("neftune(5)")
    packed.context.forward = prepare(packed.model, "packed")
    for one in (trial, packed):
        one.model.train()
    one, two = trial.context.compute(trial.batches[0]), packed.context.compute(packed.batches[0])
    torch.testing.assert_close(one.logits, two.logits, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("noise", "draw"), [("normal", torch.Tensor.normal_), ("uniform", torch.Tensor.uniform_)])
def test_every_layer_gets_noise_on_its_input(noise, draw, lab):
    trial, plain = lab(f"hype(0.3, noise={noise})"), lab("none").model
    batch, generator = trial.batches[0], torch.Generator()
    generator.set_state(trial.context.generator.get_state())
    bounds = () if noise == "normal" else (-1, 1)
    hidden = plain.bert.embeddings(input_ids=batch["input_ids"])
    mask = batch["attention_mask"][:, None, None, :].bool()
    for layer in plain.bert.encoder.layer:
        empty = torch.empty(hidden.shape, dtype=torch.float64)
        hidden = layer(hidden + 0.3 * draw(empty, *bounds, generator=generator), mask)
    expected = plain.classifier(plain.bert.pooler(hidden))
    trial.model.train()
    torch.testing.assert_close(trial.context.compute(batch).logits, expected, rtol=1e-10, atol=1e-14)


def test_layers_may_be_called_by_keyword():
    class Layer(nn.Linear):
        def forward(self, hidden_states):
            return super().forward(hidden_states)

    model = nn.ModuleDict({"layers": nn.ModuleList([Layer(3, 3)])})
    context = Context(model, generator=torch.Generator().manual_seed(0), sites=FAMILY_FREE)
    assert HyPe(0.5).attach(context) == ["layers.0"]
    layer, x = model["layers"][0], torch.rand(2, 3)
    noisy = x + 0.5 * torch.empty(2, 3).normal_(generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(hidden_states=x), nn.functional.linear(noisy, layer.weight, layer.bias))
