"""What methods refuse: settings, places and sums in one sentence, and models that they cannot act on."""

import dataclasses
import math
import re

import pytest
import torch
from torch import nn

from fisher.common.errors import InputError
from fisher.scores import Scores
from regularizers.context import Context, SkipTrial
from regularizers.methods.gaussian_dropout import gaussian_dropout
from regularizers.methods.mixconnect import mixconnect
from regularizers.methods.mixout import mixout
from regularizers.methods.tuneout import tuneout
from regularizers.strategy import parse

ONES = torch.ones(2, 2)
WHOLE_MODEL = (
    "addrop(0.1)", "bitfit", "dps", "drophead(0.1)", "flooding(2)", "freelb", "freeze(1)", "gradual_unfreezing", "hype",
    "label_smoothing(0.2)", "layerwise_lr(0.5)", "lora", "lp_ft", "neftune(5)", "noisytune", "r3f", "rdrop(2)",
    "recadam(1)", "reinit(1)", "smart", "spd(1)", "wise_ft(0.3)",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("addrop(2)", r"p of addrop must be in \[0, 1\], got 2"),
        ("addrop(0.1, 1)", r"q of addrop must be in \[0, 1\), got 1"),
        ("addrop(0.1) + drophead(0.1)", "one sum must set the noise on attention once"),
        ("dropconnect(1)", r"p of dropconnect must be in \[0, 1\), got 1"),
        ("dropconnect(0.1, layers=few)", "layers of dropconnect must be paper, fed or all, got few"),
        ("dropconnect(0.1) + mixout(0, 0.1)", "one sum must set the mixed weights once"),
        ("dps(0)", r"p of dps must be in \(0, 1\], got 0"),
        ("dps(0.5, ratio=0)", r"ratio of dps must be in \(0, 1\], got 0"),
        ("drophead(1)", r"p of drophead must be in \[0, 1\), got 1"),
        ("drophead(0.1) + gaussian_dropout(0.1)", "one sum must set the noise on attention once"),
        ("dropout(1)", r"p of dropout must be in \[0, 1\), got 1"),
        ("dropout(-0.1)", r"p of dropout must be in \[0, 1\), got -0.1"),
        ("dropout(0.1) + model_default", "one sum must set the dropout sites once, got dropout.* leave one out"),
        ("dropout(0.1) + none", r"none must stand alone in its sum, got dropout\(0.1\) \+ none; leave one out"),
        ("ewc(-1)", "the strength of ewc must be >= 0, got -1"),
        (
            "ewc(1, fisher=published)",
            "fisher of ewc must be estimate or a file with a diagonal, got published; a ranking",
        ),
        ("head:ewc(1)", "ewc must act outside the head, got head:ewc; leave out head:"),
        ("gaussian_dropout(1)", r"p of gaussian_dropout must be in \[0, 1\), got 1"),
        ("gaussian_dropout(0.1) + dropout(0.1)", "one sum must set the dropout sites once"),
        ("guided_dropout(0.2, 0.1)", "guided_dropout must have 0 <= p_lower <= p_upper < 1, got 0.2 and 0.1"),
        ("guided_dropout(0, 1)", "guided_dropout must have 0 <= p_lower <= p_upper < 1, got 0.0 and 1.0"),
        ("guided_dropout(0, 0.1, head=1)", r"head of guided_dropout must be in \[0, 1\), got 1"),
        ("guided_dropout(0, 0.1, order=up)", "order of guided_dropout must be ranked or shuffled, got up"),
        ("head:guided_dropout(0, 0.1)", "must act outside the head, got head:guided_dropout; use head:dropout"),
        ("dropout(0.1) + guided_dropout(0, 0.1)", "one sum must set the dropout sites once"),
        ("r3f(-1)", "the strength of r3f must be >= 0, got -1"),
        ("r3f(1, eps=0)", "eps of r3f must be > 0, got 0"),
        ("r3f(1, noise=pink)", "the noise of r3f must be uniform or normal, got pink"),
        ("smart(-1)", "the strength of smart must be >= 0, got -1"),
        ("smart(1, step=0)", "step of smart must be > 0, got 0"),
        ("smart(1, sigma=0)", "sigma of smart must be > 0, got 0"),
        ("freelb(0)", "k of freelb must be an integer >= 1, got 0"),
        ("freelb(1.5)", "k of freelb must be an integer >= 1, got 1.5"),
        ("freelb(2, lr=-1)", "lr of freelb must be >= 0, got -1"),
        ("freelb(2, magnitude=-1)", "magnitude of freelb must be >= 0, got -1"),
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
        ("lora(1, 1, dropout=1)", r"dropout of lora must be in \[0, 1\), got 1"),
        ("bitfit + freeze(1)", r"one sum must set which weights train once, got bitfit\(0.001\) \+ freeze\(1\)"),
        ("lora + mixout(w_pre, 0.7)", "one sum must set the mixed weights once"),
        ("noisytune + reinit(1)", "one sum must set the weights at the start once"),
        ("mixconnect(w_pre, 0.5, mask=cauchy)", "mask of mixconnect must be bernoulli or gaussian, got cauchy"),
        ("mixconnect(w_pre, 1)", r"p of mixconnect must be in \[0, 1\), got 1"),
        ("mixconnect(w_pre, 0.5) + mixout(0, 0.1)", "one sum must set the mixed weights once"),
        ("mixout(w_post, 0.5)", "the target of mixout must be 0, w_pre, w_0 or a .safetensors file, got w_post"),
        ("mixout(w_pre, 1)", r"p of mixout must be in \[0, 1\), got 1"),
        ("mixout(w_pre, 0.5, layers=some)", "layers of mixout must be paper, fed or all, got some"),
        ("mixout(w_pre, 0.5, mask=0.5)", r"mask of mixout must be neuron or weight, got 0.5"),
        ("mixout(w_pre, 0.5, gradient=half)", "gradient of mixout must be exact or authors, got half"),
        (
            "mixout(w_0, 0.5)",
            r"the target of mixout on the all must exist there, got w_0; write head:mixout\(w_0, ...\)",
        ),
        ("head:mixout(w_pre, 0.5)", "the target of mixout on the head must exist there, got w_pre; the head has w_0"),
        *(
            (
                f"head:{text}, layers=all)",
                f"layers of {text.partition('(')[0]} must be left out on the head, .* got all",
            )
            for text in ("mixout(w_0, 0.5", "mixconnect(w_0, 0.5", "dropconnect(0.5", "tuneout(0.5")
        ),
        ("recadam(-1)", "gamma of recadam must be >= 0, got -1"),
        ("recadam(1, k=0)", "k of recadam must be > 0, got 0"),
        ("recadam(1, t0=250)", r"t0 of recadam must be in \[0, 1\], a share of the steps, got 250"),
        *(
            (f"{name}({share})", rf"the share of {name} must be in \[0, 1\], got {share}")
            for name, share in (("swa", -0.1), ("swa", 1.1), ("lp_ft", 2), ("gradual_unfreezing", -1))
        ),
        ("ema(0.5) + swa(0.5)", "one sum must set the average that is evaluated once"),
        ("freeze(1) + gradual_unfreezing + lp_ft", "one sum must set which weights train once"),
        ("spd(-1)", "the strength of spd must be >= 0, got -1"),
        ("surgical(0)", "k of surgical must be a whole number >= 1, got 0"),
        ("surgical(1.5)", "k of surgical must be a whole number >= 1, got 1.5"),
        (
            "surgical(1, fisher=published)",
            "fisher of surgical must be estimate or a file of scores, got published; that",
        ),
        ("head:surgical(1)", "surgical must act outside the head, got head:surgical; leave out head:"),
        ("tuneout(1)", r"p of tuneout must be in \[0, 1\), got 1"),
        ("tuneout(0.1, layers=few)", "layers of tuneout must be paper, fed or all, got few"),
        ("tuneout(0.1) + mixout(0, 0.1)", "one sum must set the mixed weights once"),
        ("variational_dropout(0)", r"p of variational_dropout must be in \(0, 0.5\], so that alpha <= 1, got 0"),
        ("variational_dropout(0.6)", r"p of variational_dropout must be in \(0, 0.5\], so that alpha <= 1, got 0.6"),
        ("variational_dropout(0.1, lr=0)", "lr of variational_dropout must be > 0, got 0"),
        ("variational_dropout(0.1) + model_default", "one sum must set the dropout sites once"),
        ("wdecay(w_post, 0.1)", "the target of wdecay must be 0, w_pre or w_0, got w_post"),
        ("wdecay(0, -1)", "the strength of wdecay must be >= 0, got -1"),
        ("wdecay(0, 0.1, form=loose)", "the form of wdecay must be decoupled or coupled, got loose"),
        (
            "wdecay(w_0, 0.1)",
            r"the target of wdecay on the all must exist there, got w_0; write head:wdecay\(w_0, ...\)",
        ),
        ("head:wdecay(w_pre, 0.1)", "the target of wdecay on the head must exist there, got w_pre; the head has w_0"),
        ("wdecay(0, 0.1) + wdecay(w_pre, 0.1)", "one sum must set wdecay once"),
    ],
)
def test_what_they_refuse(text, message, refusal):
    assert re.search(message, refusal(parse, text))


@pytest.mark.parametrize("text", WHOLE_MODEL)
def test_what_is_about_the_whole_model_is_refused_on_the_head(text, refusal):
    name = text.partition("(")[0]
    assert re.search(
        f"{name} must act outside the head, got head:{name}; leave out head:", refusal(parse, f"head:{text}")
    )


def made_up(lab, change):
    """Scores of a three-layer BERT, changed."""
    values = {n.removeprefix("bert."): p.square() for n, p in lab("none").start.items() if n.startswith("bert.")}
    return {"estimate": Scores(change(values))}


def without(part):
    return lambda values: {name: value for name, value in values.items() if part not in name}


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        (
            "ewc(3)",
            lambda values: {name: value.mean() for name, value in values.items()},
            r"ewc must have a diagonal of shape \(60, 16\) for bert.embeddings.word_embed",
        ),
        (
            "ewc(3)",
            lambda values: {f"other.{name}": value for name, value in values.items()},
            "ewc finds no weight of this model among the scores of estimate",
        ),
        ("surgical(4)", dict, "k of surgical must be at most 3, the layers of this model, got 4"),
        (
            "surgical(1)",
            without("layer.2.output.dense.weight"),
            r"the scores of estimate must cover every layer, got none of bert.*layer.2.out",
        ),
        (
            "guided_dropout(0, 0.1)",
            without(""),
            "site embeddings must have a score for each of its tensors, but there is no",
        ),
        (
            "guided_dropout(0, 0.1, fisher=published)",
            dict,
            r"ranks the 37 sites of a 12-layer BERT .*, got 10 sites; use fisher=estimate",
        ),
    ],
)
def test_scores_must_fit_the_model(text, change, message, lab):
    with pytest.raises((InputError, SkipTrial), match=message):
        lab(text, fisher={"published": None} if "published" in text else made_up(lab, change))


@pytest.mark.parametrize("text", ["ewc(1)", "guided_dropout(0, 0.1)", "surgical(1)"])
def test_without_scores_they_say_what_to_do(text, lab, refusal):
    name = text.partition("(")[0]
    assert re.search(f"{name} must be given Fisher scores from estimate, got none; estimate them", refusal(lab, text))


BARE, LAYERED = nn.LayerNorm(2, bias=False), nn.Sequential(nn.LayerNorm(2))


@pytest.mark.parametrize(
    ("text", "model", "message"),
    [
        ("bitfit", BARE, "bitfit needs a model with biases, and .* has none outside the head"),
        ("dps", LAYERED, "dps needs a model with linear layers in its numbered layers"),
        ("lora", BARE, "lora needs a model whose family has layers to adapt"),
        ("gaussian_dropout(0.1)", BARE, "the none model has no dropout site in scope 'all'"),
        ("mixout(w_pre, 0.5)", BARE, "the none model has no layer to mix in scope 'all'"),
        *((text, BARE, "the model must have numbered layers, got none") for text in ("dps", "hype", "layerwise_lr(1)")),
        *((text, BARE, "needs a model with word embeddings") for text in ("freelb", "neftune", "r3f", "smart")),
    ],
)
def test_a_model_without_what_they_act_on_is_skipped(text, model, message):
    with pytest.raises(SkipTrial, match=message):
        parse(text).bind(Context(model)).attach()


@pytest.mark.parametrize("name", ["addrop", "drophead"])
def test_a_model_without_known_attentions_skips_the_trial(name, lab):
    context = lab("none").context
    hidden = tuple(site for site in context.sites.dropouts if site.kind == "hidden")
    context.sites = dataclasses.replace(context.sites, dropouts=hidden)
    with pytest.raises(SkipTrial, match=f"{name} needs a model with a table of its attentions"):
        parse(f"{name}(0.1)").bind(context).attach()


@pytest.mark.parametrize("text", ["freeze(4)", "reinit(4)"])
def test_more_layers_than_there_are_skip_the_trial(text, lab):
    with pytest.raises(SkipTrial, match="needs a model of at least 4 layers, got 3"):
        lab(text)


@pytest.mark.parametrize(
    ("compute", "p"),
    [
        (lambda p: gaussian_dropout(ONES, p, ONES), 1),
        (lambda p: mixconnect(ONES, ONES, p, ONES), 1),
        (lambda p: mixout(ONES, ONES, p, ONES), -0.1),
        (lambda p: mixout(ONES, ONES, p, ONES), 1.1),
        (lambda p: mixout(ONES, ONES, p, ONES), math.nan),
        (lambda p: tuneout(ONES, ONES, ONES, p, ONES), 1),
    ],
)
def test_p_outside_its_range_is_refused_by_the_function_too(compute, p):
    with pytest.raises(ValueError, match=rf"p must be in \[0, 1[\])], got {p}"):
        compute(p)
