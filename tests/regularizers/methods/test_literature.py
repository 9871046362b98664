"""What methods of the literature refuse, and sums of them; the conformance kit runs the rest on every method."""

from pathlib import Path

import pytest
import torch

from fisher.common.errors import InputError
from regularizers.base import Context, SkipTrial
from regularizers.describe import listing
from regularizers.loop import make_optimizer, step
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import SingleProcessAccelerator, recipe

SETTINGS = [
    "bitfit(0.001)",
    "child_tuning(0.4)",
    "child_tuning(0.4, variant=D)",
    "ema(0.5)",
    "flooding(2)",
    "freeze(1)",
    "hype(0.01)",
    "hype(0.01, noise=uniform)",
    "label_smoothing(0.2)",
    "layerwise_lr(0.5)",
    "lora(2, 4, lr=0.01)",
    "neftune(5)",
    "noisytune(0.3)",
    "dropout(0.2) + rdrop(2)",
    "recadam(10)",
    "reinit(1)",
    "sam(0.1)",
    "spd(1)",
    "wise_ft(0.3)",
]
NAMES = sorted({term.regularizer.name for text in SETTINGS for term in parse(text).terms} - {"dropout"})


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rdrop(-1)", "the strength of rdrop must be >= 0, got -1"),
        ("sam(-1)", "rho of sam must be >= 0, got -1"),
        ("child_tuning(0)", r"p of child_tuning must be in \(0, 1\], got 0"),
        ("child_tuning(0.3, variant=E)", "variant of child_tuning must be F or D, got E"),
        ("layerwise_lr(0)", r"the decay of layerwise_lr must be in \(0, 1\], got 0"),
        ("ema(1)", r"the decay of ema must be in \[0, 1\), got 1"),
        ("wise_ft(2)", r"a of wise_ft must be in \[0, 1\], got 2"),
        ("hype(-1)", "eps of hype must be >= 0, got -1"),
        ("hype(1, noise=cauchy)", "the noise of hype must be normal or uniform, got cauchy"),
        ("neftune(-1)", "alpha of neftune must be >= 0, got -1"),
        ("noisytune(-1)", "the strength of noisytune must be >= 0, got -1"),
        ("reinit(0)", "k of reinit must be an integer >= 1, got 0"),
        ("reinit(1.5)", "k of reinit must be an integer >= 1, got 1.5"),
        ("freeze(-1)", "k of freeze must be an integer >= 0, got -1"),
        ("bitfit(0)", "lr of bitfit must be > 0, got 0"),
        ("label_smoothing(1)", r"e of label_smoothing must be in \[0, 1\), got 1"),
        ("flooding(-1)", "b of flooding must be >= 0, got -1"),
        ("lora(0)", "r of lora must be an integer >= 1, got 0"),
        ("lora(1, 0)", "alpha of lora must be > 0, got 0"),
        ("lora(1, 1, lr=0)", "lr of lora must be > 0, got 0"),
        ("head:lora", "lora must act outside the head, got head:lora; leave out head:"),
        ("bitfit + freeze(1)", r"one sum must set which weights train once, got bitfit\(0.001\) \+ freeze\(1\)"),
        ("lora + mixout(w_pre, 0.7)", "one sum must set the mixed weights once"),
        ("noisytune + reinit(1)", "one sum must set the weights at the start once"),
    ],
)
def test_refused_strategies(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"child_tuning", "ema", "sam"}))
def test_what_is_about_the_whole_model_is_refused_on_the_head(name):
    term = next(t for text in SETTINGS for t in parse(text).terms if t.regularizer.name == name)
    with pytest.raises(InputError, match=f"{name} must act outside the head, got head:{name}; leave out head:"):
        parse(f"head:{term}")


@pytest.mark.parametrize("text", ["freeze(4)", "reinit(4)"])
def test_more_layers_than_there_are_skip_the_trial(text, lab):
    with pytest.raises(SkipTrial, match="needs a model of at least 4 layers, got 3"):
        lab(text)


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
