"""Tuneout against a slow reference; its masks follow the examples, packed or padded."""

import torch
from torch import nn

from regularizers.methods.tuneout import Examples, tuneout
from regularizers.surgery.forward import prepare


def test_equals_the_slow_reference_example_by_example(numbers):
    x, weight, target, p = numbers(3, 2, 4), numbers(5, 4, seed=1), numbers(5, 4, seed=2), 0.3
    mask = (torch.rand(3, 1, 4, generator=torch.Generator().manual_seed(3)) >= p).double()
    ours = tuneout(x, weight, target, p, mask)
    for example in range(3):
        mixed = target + (weight - target) @ torch.diag(mask[example, 0]) / (1 - p)
        for position in range(2):
            slow = torch.stack([sum(w * v for w, v in zip(row, x[example, position], strict=True)) for row in mixed])
            assert ((ours[example, position] - slow).norm() / slow.norm()).item() <= 1e-10


def test_at_the_start_it_changes_nothing_whatever_the_mask(lab):
    """W = W_pre: the difference that is dropped is 0."""
    tuned, plain = lab("tuneout(0.5)"), lab("none")
    for trial in (tuned, plain):
        trial.model.train()
        trial.bound.draw()
    outputs = [trial.context.compute(trial.batches[0]).logits for trial in (tuned, plain)]
    assert torch.allclose(*outputs, rtol=1e-10, atol=1e-12)


def test_masks_differ_between_examples_and_not_between_positions(numbers):
    examples = Examples()
    mask = examples.mask(numbers(4, 7, 50), 0.5)
    assert mask.shape == (4, 1, 50) and len({tuple(row) for row in mask[:, 0].tolist()}) == 4


def test_a_packed_row_has_one_mask_per_sequence(numbers):
    examples = Examples()
    examples(nn.Identity(), (), {"sequence_lengths": (2, 3)})
    mask = examples.mask(numbers(1, 5, 50), 0.5)
    first, second = mask[0, :2], mask[0, 2:]
    assert mask.shape == (1, 5, 50) and torch.equal(first[0], first[1]) and torch.equal(second[0], second[2])
    assert not torch.equal(first[0], second[0])


def test_the_last_layer_of_a_packed_batch_has_one_mask_per_example_too(lab):
    """It computes the first position of each example alone: (1, examples, width)."""
    trial = lab("tuneout(0.5)", start=False)
    layer = trial.model.bert.encoder.layer[-1].output.dense
    forward, seen = prepare(trial.model, "packed"), []
    taken = layer.tune_examples.mask
    layer.tune_examples.mask = lambda x, p: seen.append((tuple(x.shape), taken(x, p))) or seen[-1][1]
    trial.model.train()
    trial.bound.draw()
    lengths = (3, 5, 2, 4)
    mask = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)
    forward(trial.model, {"input_ids": mask.long() * 7, "attention_mask": mask.long()})
    rows = [(shape[:-1], mask) for shape, mask in seen if len(shape) == 3]  # the pooler's have two
    assert {shape for shape, _ in rows} == {(1, sum(lengths)), (1, len(lengths))}
    for _, mask in rows:
        assert len({tuple(row) for row in mask[0].tolist()}) == len(lengths)
