"""Conformance: which weights are pulled, and which are evaluated."""

import torch
from torch import Tensor, nn

from regularizers.base import Batch, forward
from regularizers.testing.checks import NotApplicable, Subject, check, expect
from regularizers.testing.tiny_trial import Trial, first_difference, tiny_model


@check("decay")
def decay(subject: Subject) -> str:
    """Without a task gradient only listed weights are pulled, by lr times a constant; no bias, no normalisation."""
    trial = subject.trial(dtype=torch.float64).shift().begin()
    pulls = {lr: _pull(trial, lr) for lr in (0.0, 0.05, 0.1)}
    moved = {name for name, change in pulls[0.1].items() if bool(change.any())} | _coupled(trial)
    if not moved:
        raise NotApplicable("nothing moves without a task gradient")
    stray = [n for n in moved if not any(n == t or n.startswith(f"{t}.") for t in trial.touched)]
    expect(not stray, f"it pulls {', '.join(sorted(stray)[:2])}, which attach does not list")
    norms = {n for n, m in trial.model.named_modules() if "norm" in type(m).__name__.lower()}
    spared = [n for n in moved if n.endswith("bias") or n.rpartition(".")[0] in norms]
    expect(
        not spared, f"it decays {', '.join(sorted(spared)[:1])}: biases and normalisation parameters are never decayed"
    )
    still = [name for name, change in pulls[0.0].items() if bool(change.any())]
    expect(not still, f"at learning rate 0 it still moves {still[:1]}")
    bent = [
        n for n, change in pulls[0.1].items() if not torch.allclose(change, 2 * pulls[0.05][n], rtol=1e-6, atol=1e-12)
    ]
    expect(not bent, f"the pull on {bent[:1]} is not proportional to the learning rate")
    return f"{len(moved)} listed tensors are pulled"


def _pull(trial: Trial, lr: float) -> dict[str, Tensor]:
    """What one update with gradient 0 adds to every parameter; the weights are put back."""
    optimizer, start = trial.context.training.optimizer, trial.weights()
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr"] / 1e-3 if lr else 0.0
    _zero_gradients(trial)
    trial.bound.update(optimizer.step)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    changes = {name: p.detach() - start[name] for name, p in trial.model.named_parameters()}
    with torch.no_grad():
        for name, parameter in trial.model.named_parameters():
            parameter.copy_(start[name])
    return changes


def _coupled(trial: Trial) -> set[str]:
    """Names of the parameters that the gradient hook pulls without a task gradient."""
    trial.bound.gradients(lambda: _zero_gradients(trial))
    return {n for n, p in trial.model.named_parameters() if p.grad is not None and bool(p.grad.any())}


def _zero_gradients(trial: Trial) -> None:
    for parameter in trial.model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None


@check("head start")
def head_start(subject: Subject) -> str:
    """The head's random start leaves no trace once the head is overwritten, unless the strategy names w_0."""
    if "w_0" in str(subject.strategy):
        raise NotApplicable("the strategy asks for w_0")
    results = []
    for seed in (1, 11):
        trial = subject.trial(head=seed)
        parameters = dict(trial.model.named_parameters())
        if not parameters.keys() >= trial.context.head:
            raise NotApplicable("the head is wrapped")
        with torch.no_grad():
            for name in sorted(trial.context.head):
                parameters[name].fill_(0.05).add_(tiny_model(subject.family, head=9).get_parameter(name))
        results.append(trial.begin().train(3).weights())
    different = first_difference(*results)
    expect(different is None, f"training depends on the head's random start, which pulls or mixes {different}")
    return "no trace of w_0"


@check("evaluation")
def evaluation(subject: Subject) -> str:
    """Evaluation is deterministic, draws nothing, leaves modes and weights alone, and is the plain model's."""
    trial = subject.trial().begin().train(2)
    before, batch = trial.weights(), trial.batch(0)
    trial.loss(batch)
    asleep = [name for name, training in _modes(trial.model).items() if not training]
    expect(not asleep, f"a training pass switches {asleep[:1]} to evaluation mode")
    trial.model.eval()
    states, logits = trial.generators(), []
    for _ in range(2):
        with trial.bound.evaluation(), torch.no_grad():
            logits.append(forward(trial.model, batch))
    woken = [name for name, training in _modes(trial.model).items() if training]
    expect(not woken, f"an evaluation pass switches {woken[:1]} to training mode")
    expect(torch.equal(*logits), "two evaluations of the same weights differ: there is noise at evaluation")
    drawn = any(not torch.equal(a, b) for a, b in zip(states, trial.generators(), strict=True))
    expect(not drawn, "evaluation draws random numbers")
    changed = first_difference(before, trial.weights())
    expect(changed is None, f"evaluation does not give the training's {changed} back: is a snapshot an alias?")
    _check_plain(trial, batch)
    return "same bits twice, modes and weights as before"


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def _check_plain(trial: Trial, batch: Batch) -> None:
    """Where the parameters are the model's own, the evaluated model is the plain one with the same weights."""
    plain, now = tiny_model(trial.family), trial.weights()
    if dict(plain.named_parameters()).keys() != now.keys():
        return
    plain.load_state_dict(now, strict=False)
    with torch.no_grad():
        same = torch.allclose(forward(plain.eval(), batch), forward(trial.model.eval(), batch), rtol=1e-4, atol=1e-5)
    expect(same, "the evaluated model is not the plain model with the same weights: something acts at evaluation")
