import math

import torch

import regularizers.methods.neftune
from regularizers.methods.neftune import magnitude, token_lengths
from regularizers.surgery.forward import prepare


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
    trial = lab("neftune(5)")
    assert trial.touched == ["bert.embeddings.word_embeddings"]
    batch, table, generator = trial.batches[0], trial.model.bert.embeddings.word_embeddings, torch.Generator()
    generator.set_state(trial.context.generator.get_state())
    seen = []
    trial.model.bert.embeddings.word_embeddings.register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    trial.model.train()
    trial.context.compute(batch)
    noise = torch.empty(4, 6, 16, dtype=torch.float64).uniform_(-1, 1, generator=generator)
    for row in range(4):
        length = int(batch["attention_mask"][row].sum())
        for token in range(6):
            size = 5 / math.sqrt(length * 16) if token < length else 0.0
            expected = table.weight[batch["input_ids"][row, token]] + size * noise[row, token]
            torch.testing.assert_close(seen[0][row, token], expected.detach(), rtol=1e-10, atol=1e-15)


def test_packed_batches_get_the_same_magnitudes(lab, monkeypatch):
    monkeypatch.setattr(regularizers.methods.neftune, "noise_like", lambda x, *_: torch.ones_like(x))
    trial, packed = lab("neftune(5)"), lab("neftune(5)")
    packed.context.forward = prepare(packed.model, "packed")
    for one in (trial, packed):
        one.model.train()
    one, two = trial.context.compute(trial.batches[0]), packed.context.compute(packed.batches[0])
    torch.testing.assert_close(one.logits, two.logits, rtol=1e-10, atol=1e-14)
