"""Which Fisher: the labels that the gradients are taken at.

    empirical   the labels of the corpus
    mc          labels drawn from the model's own predictions, once for each sample (Monte-Carlo estimate of "exact")
    exact       the expectation over the model's predictions; for tiny models only

For a sample with m predicted tokens the labels are drawn for all m at once, given the inputs (for a decoder: given the
true prefix). They are independent then and the score has mean zero, so with c = 1/m (reduction "mean") or 1 ("sum")

    E_y (d l(x, y) / d theta_i)^2 = c^2 sum_j sum_v p_jv (d log p_jv / d theta_i)^2
"""

from collections.abc import Sequence

import torch

from fisher.common.errors import require
from fisher.estimation.diagonal import evaluation_mode, pad_id, require_samples, to_model, trainable
from fisher.pretraining.objectives import IGNORE, Batch, Sample, TokenLoss, collate

MOST_PASSES = 1_000_000  # backward passes of one exact estimate


def draw_labels(model: torch.nn.Module, batch: Batch, loss: TokenLoss, rngs: Sequence[torch.Generator]) -> Batch:
    """The batch with labels drawn from the model, those of each sample from its own generator."""
    with torch.no_grad():
        probabilities = loss.logits(model, batch).double().softmax(-1).cpu()  # (batch, predictions, vocabulary)
    labels = batch["labels"].cpu().clone()
    for row, rng, chances in zip(labels, rngs, probabilities, strict=True):
        predicted = row != IGNORE
        row[predicted] = torch.multinomial(chances[predicted], 1, generator=rng).squeeze(1)
    return {**batch, "labels": labels.to(batch["labels"].device)}


def exact_fisher(model: torch.nn.Module, samples: Sequence[Sample], loss: TokenLoss) -> dict[str, torch.Tensor]:
    """The expectation over labels, summed up term by term: one backward pass per predicted token and word.

    Raises:
        InputError: there is no sample, or more than a million passes would be needed.
    """
    require_samples(samples)
    parameters = trainable(model)
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    with evaluation_mode(model):
        for sample in samples:
            batch = to_model(collate([sample], pad_id=pad_id(model)), model)
            log_p = loss.logits(model, batch)[0].log_softmax(-1)  # (predictions, vocabulary)
            require_few_passes(len(samples) * log_p.numel())
            scale = 1.0 if loss.reduction == "sum" else 1.0 / len(log_p)
            for value in log_p.flatten():
                gradients = torch.autograd.grad(value, list(parameters.values()), retain_graph=True, allow_unused=True)
                weight = float(value.detach().exp()) * scale**2
                for name, gradient in zip(parameters, gradients, strict=True):
                    if gradient is not None:
                        total[name].addcmul_(gradient, gradient, value=weight)
    return {name: value / len(samples) for name, value in total.items()}


def require_few_passes(passes: int) -> None:
    require(
        passes <= MOST_PASSES,
        f"kind exact is for tiny models: at most {MOST_PASSES} backward passes, but about {passes} are needed; use mc",
    )
