"""Methods of the literature on a decoder and in sums; the conformance kit runs the rest on every method."""

from pathlib import Path

import pytest
import torch

from regularizers.base import Context
from regularizers.describe import listing
from regularizers.loop import make_optimizer, step
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import SingleProcessAccelerator, recipe

SETTINGS = [
    "addrop(0.5, 0.5)",
    "bitfit(0.001)",
    "child_tuning(0.4)",
    "child_tuning(0.4, variant=D)",
    "dps(0.5)",
    "drophead(0.2)",
    "ema(0.5)",
    "flooding(2)",
    "freelb(2)",
    "freeze(1)",
    "gradual_unfreezing(0.5)",
    "hype(0.01)",
    "hype(0.01, noise=uniform)",
    "label_smoothing(0.2)",
    "layerwise_lr(0.5)",
    "lora(2, 4, lr=0.01)",
    "lora(2, 4, dora=true)",
    "lora(2, 4, mask=0.5)",
    "lp_ft(0.5)",
    "neftune(5)",
    "noisytune(0.3)",
    "r3f(1)",
    "dropout(0.2) + rdrop(2)",
    "recadam(10)",
    "reinit(1)",
    "sam(0.1)",
    "smart(1)",
    "spd(1)",
    "swa(0.5)",
    "wise_ft(0.3)",
]


@pytest.mark.parametrize(
    "text",
    ["dropout(0.2) + ema(0.5) + rdrop(2) + sam(0.1)", "ema(0.5) + layerwise_lr(0.5) + lora(2, 4) + wise_ft(0.3)"],
)
def test_sums_run(text, lab):
    trial = lab(text)
    assert len(trial.run(3)) == 3 and torch.isfinite(trial.evaluate()).all()


@pytest.mark.parametrize("text", SETTINGS)
def test_a_decoder_trains(text, family_model, batch):
    """The kit trains a BERT and its regression head; here GPT-2, whose head reads the last token."""
    model, head = family_model("gpt2")
    context = Context(model.double(), head, torch.Generator().manual_seed(1), examples=8)
    context.training.steps = 2
    bound = parse(text).bind(context)
    touched = bound.attach()
    bound.start(lambda: [batch])
    context.training.optimizer = make_optimizer(bound, recipe())
    for done in range(2):
        context.training.step = done
        model.train()
        assert step(bound, batch, recipe(), SingleProcessAccelerator()).isfinite()
    with bound.evaluation():
        assert all(touched.values()) and all(p.isfinite().all() for p in model.parameters())


def test_the_sum_that_stands_for_l2_sp_adds_its_gradient(lab):
    trial, plain = lab("wdecay(w_pre, 0.3, form=coupled) + head:wdecay(0, 0.2, form=coupled)"), lab("none")
    with torch.no_grad():
        for model in (trial.model, plain.model):
            for p in model.parameters():
                p.add_(0.1)
    weights = trial.parameters()
    trial.run(1), plain.run(1)
    full = dict(plain.model.named_parameters())
    for name, p in trial.model.named_parameters():
        pull = torch.zeros_like(p)
        if p.dim() > 1:
            pull = 0.2 * weights[name] if name.startswith("classifier") else 0.3 * (weights[name] - trial.start[name])
        torch.testing.assert_close(p.grad, full[name].grad + pull, rtol=1e-10, atol=1e-14)


def test_the_table_of_the_documentation_is_the_registry_s():
    page = (Path(__file__).parents[3] / "docs" / "regularizers.md").read_text(encoding="utf-8")
    printed = [line for line in page.splitlines() if line.startswith("| `") or line.startswith("| method | what")]
    made = [line for line in listing(markdown=True).splitlines() if not line.startswith("| ---")]
    assert printed == made, "make the table anew: python -m regularizers list --markdown"
