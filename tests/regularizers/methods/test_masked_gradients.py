"""child_tuning and dps: whose gradients are masked, by scores that a slow reference gives."""

import math

import numpy as np
import pytest
import torch

from regularizers.methods.child_tuning import top_share
from regularizers.methods.dps import top_part

HEAD = ("classifier.weight", "classifier.bias")


def slow_fisher(trial):
    """Squares of the gradients of one example at a time, in evaluation mode."""
    trial.model.eval()
    weights = dict(trial.model.named_parameters())
    total = {name: torch.zeros_like(p) for name, p in weights.items()}
    count = 0
    for batch in trial.batches:
        for at in range(len(batch["labels"])):
            trial.model.zero_grad()
            trial.context.compute({k: v[at : at + 1] for k, v in batch.items()}).loss.backward()
            for name, p in weights.items():
                total[name] += p.grad.square()
            count += 1
    trial.model.zero_grad()
    return {name: value / count for name, value in total.items()}


@pytest.mark.parametrize("text", ["child_tuning(0.2, variant=D)", "child_tuning(0.2, variant=D) + dropout(0.5)"])
def test_d_keeps_the_weights_of_highest_fisher_score(text, lab):
    trial = lab(text)
    fisher = {name: value for name, value in slow_fisher(lab("none")).items() if name not in HEAD}
    scores = np.concatenate([value.flatten().numpy() for value in fisher.values()])
    threshold = np.sort(scores)[::-1][round(0.2 * len(scores)) - 1]
    assert trial.term.masks.keys() == fisher.keys()
    for name, mask in trial.term.masks.items():
        clear = (fisher[name] - threshold).abs() > 1e-10 * threshold
        assert torch.equal(mask[clear], (fisher[name] >= threshold)[clear]), name
    kept = sum(int(mask.sum()) for mask in trial.term.masks.values())
    assert kept == pytest.approx(0.2 * len(scores), abs=1)


def test_d_moves_the_child_and_the_head_alone(lab):
    """As in the authors' optimizer the norm that is clipped, here and below, is that of all gradients."""
    trial, plain = lab("child_tuning(0.2, variant=D)", clip=0.01), lab("none", clip=0.01)
    trial.run(1), plain.run(1)
    full = dict(plain.model.named_parameters())
    for name, p in trial.model.named_parameters():
        mask = trial.term.masks.get(name, torch.ones_like(p, dtype=torch.bool))
        assert torch.equal(p.grad, full[name].grad * mask), name
        assert torch.equal(p[~mask], trial.start[name][~mask])


def test_top_share_keeps_ties_together():
    masks = top_share({"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([[1.0], [0.0]])}, 0.5)
    assert masks["a"].tolist() == [True, True] and masks["b"].tolist() == [[True], [False]]


def test_f_scales_by_a_fresh_mask_per_step_that_all_gradients_of_the_step_share(lab):
    trial, plain = (lab(text, lr=0.0, clip=0.01) for text in ("child_tuning(0.25)", "none"))
    ratios = []
    for _ in range(2):
        trial.run(1), plain.run(1)
        full = dict(plain.model.named_parameters())
        parts = []
        for name, p in trial.model.named_parameters():
            seen = full[name].grad != 0
            parts.append((p.grad[seen] / full[name].grad[seen]).flatten())
        ratios.append(torch.cat(parts))
        trial.done = plain.done = 0
    for ratio in ratios:
        scaled = ratio[ratio != 0]
        torch.testing.assert_close(scaled, torch.full_like(scaled, 4.0), rtol=1e-12, atol=0)
        spread = (0.25 * 0.75 / len(ratio)) ** 0.5
        assert len(scaled) / len(ratio) == pytest.approx(0.25, abs=5 * spread)
    assert not torch.equal(ratios[0], ratios[1])
    once = [p.grad.clone() for p in trial.model.parameters()]
    for p in trial.model.parameters():
        p.grad.fill_(1.0)
    trial.term.update(lambda: None, trial.context)
    for p, before in zip(trial.model.parameters(), once, strict=True):
        assert torch.equal(p.grad[before != 0], torch.full_like(p.grad[before != 0], 4.0))


def full_gradients(trial, batch):
    """Gradients of the plain loss at the trial's weights."""
    named = dict(trial.model.named_parameters())
    slopes = torch.autograd.grad(trial.context.compute(batch).loss, list(named.values()))
    return {name: slope.numpy().copy() for name, slope in zip(named, slopes, strict=True)}


@pytest.mark.parametrize(("ratio", "length"), [(0.4, 2), (0.05, 1), (0.2, 1)])
def test_gradients_equal_a_slow_reference(ratio, length, lab):
    trial = lab(f"dps(0.3, ratio={ratio})")
    scores, masks = {}, {}
    for step in range(5):
        trial.model.train()
        full = full_gradients(trial, trial.batches[step])
        trial.run(1)
        masked = (step // length) % 2 == 1
        for name, p in trial.model.named_parameters():
            expected = full[name]
            if "layer." in name and name.endswith("weight") and "LayerNorm" not in name:
                if not masked:
                    scores[name] = expected**2 + (0 if step % length == 0 else scores[name])
                elif step % length == 0:
                    threshold = np.sort(scores[name].flatten())[::-1][math.ceil(0.3 * expected.size) - 1]
                    masks[name] = scores[name] >= threshold
                expected = expected * masks[name] if masked else expected
            np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-9, atol=1e-14, err_msg=f"{step} {name}")
    assert len(masks) == 18 and all(0.3 <= mask.mean() < 0.31 for mask in masks.values())


def test_entries_of_equal_score_stay_together():
    scores = torch.tensor([[3.0, 1.0], [1.0, 0.0]])
    assert top_part(scores, 0.5).tolist() == [[True, True], [True, False]]
    assert top_part(scores, 0.25).sum() == 1 and top_part(scores, 1).all()
