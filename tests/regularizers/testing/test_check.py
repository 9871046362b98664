"""The conformance kit: every planted defect is caught by the check that is meant to, every registered method passes."""

import dataclasses
from pathlib import Path

import pytest
import torch

from regularizers import registry
from regularizers.__main__ import main
from regularizers.base import SkipTrial
from regularizers.registry import load_plugin, methods
from regularizers.strategy import parse
from regularizers.testing.conformance import CHECKS, run_check
from regularizers.testing.report import check, render, subject_of, subjects
from regularizers.testing.tiny_trial import Trial, first_difference, recipe

pytestmark = pytest.mark.filterwarnings("ignore:std:UserWarning")  # the planted one-element standard deviation
FAULTY = Path(__file__).parents[1] / "faulty" / "defects.py"
DEFECTS = {
    "gradient_without_factor": ("gradient", "the gradient of bert.encoder.layer.* is off"),
    "biased_mix": ("expectation", "the mean output of bert.encoder.layer.*"),
    "target_no_buffer": ("moves", "is a tensor that is no buffer"),
    "attach_draws": ("pairing", "attaching draws from torch's default generator"),
    "mixes_head": ("head start", "depends on the head's random start"),
    "redraws_mask": ("step noise", "drawn anew for every micro-batch"),
    "private_generator": ("reproducible", "a source other than context.generator"),
    "python_random": ("random sources", "moves the state of Python's random"),
    "numpy_random": ("random sources", "moves NumPy's random state"),
    "default_random": ("random sources", "torch.rand draws from torch's default generator"),
    "ignores_p": ("acts", "p is ignored"),
    "touches_nothing": ("touched", "attach lists nothing"),
    "touches_ghosts": ("touched", "no module or parameter of the model"),
    "std_for_variance": ("expectation", "relative variance"),
    "switches_training_on": ("evaluation", "switches .* to training mode"),
    "noise_at_evaluation": ("evaluation", "there is noise at evaluation"),
    "replaces_attention_dropout": ("touched", "the model never calls it"),
    "decays_head": ("head start", "depends on the head's random start"),
    "decays_norms": ("decay", "biases and normalisation parameters are never decayed"),
    "decays_unlisted": ("decay", "which attach does not list"),
    "decay_without_rate": ("decay", "at learning rate 0 it still moves"),
    "kl_sum": ("mean over examples", "the loss of a duplicated batch is"),
    "undeclared_pass": ("cost", "one step takes .* passes, declared"),
    "nan_std": ("regression head", "on a regression head"),
    "loses_state": ("resume", "some state was not saved"),
    "aliased_snapshot": ("evaluation", "is a snapshot an alias"),
    "never_off": ("off", "differs from none"),
    "other_attention": ("packed", "must leave the attention alone or declare forward = 'stock', got attention eager"),
    "wide_range": ("search", "at p = 0.99999, an end of its range, .* becomes NaN or infinite"),
}
GOOD = """
from dataclasses import dataclass
from regularizers import Regularizer, register

@register("halved_loss")
@dataclass
class HalvedLoss(Regularizer):
    factor: float = 0.5

    def attach(self, context):
        return list(context.parameters())

    def loss(self, compute, batch, context):
        output = compute(batch)
        return output._replace(loss=output.loss * self.factor)
"""

SCHEDULE = """
import contextlib
from dataclasses import dataclass
from typing import ClassVar
from regularizers import Regularizer, register
from regularizers.search import Linear
from regularizers.surgery.swapping import swapped_parameters

@register("late_average")
@dataclass
class LateAverage(Regularizer):
    rate: float = 0.5
    search: ClassVar = {"rate": Linear(0.1, 0.9)}

    def attach(self, context):
        self.weight, self.kept, self.done = 0.0, {}, 0
        return list(context.parameters())

    def draw(self, context):
        self.weight = context.training.step / context.training.steps

    def update(self, apply, context):
        apply()
        self.done += 1
        if self.done >= 5:
            for name, p in context.parameters().items():
                kept = self.kept.setdefault(name, p.detach().clone())
                kept.lerp_(p.detach(), self.rate)

    def evaluation(self, context):
        return swapped_parameters(context.parameters(), self.kept) if self.kept else contextlib.nullcontext()
"""


@pytest.fixture(scope="module")
def defects():
    """The faulty regularizers, registered for this module's tests alone."""
    methods()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_methods", dict(registry._methods))
        yield load_plugin(str(FAULTY))


@pytest.mark.parametrize(("name", "caught_by", "reason"), [(n, *expected) for n, expected in DEFECTS.items()])
def test_a_planted_defect_is_caught_by_its_check(defects, name, caught_by, reason):
    finding = run_check(caught_by, subject_of(name))
    assert finding.status == "fail"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(finding.reason)


def test_every_planted_defect_is_expected(defects):
    assert set(defects) - {"right_mixing"} == set(DEFECTS)


def test_the_control_without_a_defect_passes(defects):
    report = check(subject_of("right_mixing"))
    assert not report.failures
    assert {f.check for f in report.findings if f.status == "skip"} == {"decay", "decoder", "search"}


@pytest.mark.parametrize("name", list(methods()))
def test_every_registered_method_passes(name):
    report = check(subject_of(name))
    assert not report.failures, render([report])


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("mixout(w_pre, 0.5) + head:mixout(w_0, 0.5)", {}),
        ("mixout(w_pre, 0.5, mask=weight)", {"off": ("mixout(w_pre, 0, mask=weight)",)}),
        ("wdecay(0, 0.01, form=coupled)", {}),
        ("head:dropout(0.3)", {}),
        ("child_tuning(0.4, variant=D)", {}),
        ("hype(0.01, noise=uniform)", {}),
        ("lora(2, 4, mask=0.5)", {}),
        *(
            (f"lora(2, 4, dora=true{mask})", {"exempt": {"gradient": "DoRA takes the norm as given"}})
            for mask in ("", ", mask=0.3")
        ),
    ],
)
def test_variants_pass(text, declared):
    if text.startswith("lora"):
        pytest.importorskip("peft", reason="lora is an extra: pip install 'regbench[lora]'")
    report = check(dataclasses.replace(subjects(text)[0], **declared))
    assert not report.failures, render([report])


def test_the_exact_gradient_is_not_the_authors():
    assert run_check("gradient", subjects("mixout(w_pre, 0.5, gradient=authors)")[0]).status == "fail"


def test_a_check_leaves_the_default_generator_alone():
    before = torch.get_rng_state()
    run_check("acts", subject_of("dropout"))
    assert torch.equal(before, torch.get_rng_state())


def test_the_small_trial_goes_through_the_loop_of_real_trials():
    from accelerate import Accelerator

    from regularizers.loop import fit

    real, small = (Trial(parse("mixout(w_pre, 0.5) + wdecay(w_pre, 0.1)")) for _ in range(2))
    batches = [real.batch(at) for at in range(4)]
    torch.manual_seed(3)
    real.bound.start(lambda: batches)
    fit(real.bound, lambda epoch: batches, recipe(), accelerator=Accelerator())
    torch.manual_seed(3)
    small.begin().train(4)
    assert first_difference(real.weights(), small.weights()) is None


def skip(self, context):
    raise SkipTrial("no such layers here")


@pytest.mark.parametrize(
    ("name", "changes", "check", "found"),
    [
        (
            "kl_sum",
            {"exempt": {"mean over examples": "summed on purpose"}},
            "mean over examples",
            ("skip", "declared: summed on purpose"),
        ),
        ("right_mixing", {"attach": skip, "exempt": {}}, "decoder", ("skip", "no such layers here")),
        (
            "right_mixing",
            {"draw": lambda self, context: 1 / 0},
            "resume",
            ("fail", "it raised ZeroDivisionError: division by zero"),
        ),
    ],
)
def test_what_is_exempt_skipped_or_raises_is_shown_with_its_reason(defects, monkeypatch, name, changes, check, found):
    for attribute, value in changes.items():
        monkeypatch.setattr(registry.find(name), attribute, value)
    finding = run_check(check, subject_of(name))
    assert (finding.status, finding.reason) == found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("touches_nothing", "touched on gpt2: attach lists nothing"),
        ("kl_sum", "mean over examples on gpt2: the loss of a duplicated batch is"),
        ("loses_state", "resume on gpt2: a resumed run differs"),
        ("other_attention", "packed on gpt2: "),
    ],
)
def test_a_defect_is_caught_on_a_decoder_too(defects, name, reason):
    finding = run_check("decoder", subject_of(name))
    assert finding.status == "fail" and finding.reason.startswith(reason)


def test_a_cause_that_many_checks_run_into_stands_once_with_its_line(tmp_path, printed):
    plugin = tmp_path / "broken.py"
    plugin.write_text(GOOD.replace("halved_loss", "broken").replace("self.factor)", "self.facto)"))
    shown = printed(main, "check", plugin, code=1)
    at = plugin.read_text().splitlines().index("        return output._replace(loss=output.loss * self.facto)") + 1
    cause = f"it raised AttributeError: 'HalvedLoss' object has no attribute 'facto' (broken.py, line {at})"
    assert shown.count(cause) == 1


def test_a_schedule_over_the_steps_and_a_slow_average_pass(tmp_path, capsys):
    plugin = tmp_path / "schedule.py"
    plugin.write_text(SCHEDULE)
    assert main(["check", str(plugin)]) == 0, capsys.readouterr().out


def test_command_checks_a_file_and_exits_with_its_verdict(tmp_path, printed):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("halved_loss", "ignored_factor").replace("* self.factor", "* 0.5"))
    shown = printed(main, "check", good)
    assert "halved_loss(0.5)" in shown and "1 of 1 methods pass" in shown
    shown = printed(main, "check", bad, "--markdown", code=1)
    assert "| acts" in shown and "FAIL" in shown and "failed: ignored_factor (acts)" in shown
    assert all(name in shown for name in CHECKS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "mixot"], "unknown regularizer 'mixot'; did you mean mixout?"),
        (["check", "missing.py"], "the plugin missing.py could not be imported"),
        (["check", "mixout(w_pre, 2)"], "p of mixout must be in [0, 1), got 2"),
        (["list", "--plugin", "no_such_module"], "the plugin no_such_module could not be imported"),
    ],
)
def test_wrong_requests_exit_with_two_and_one_sentence(refused, arguments, message):
    assert message in refused(main, *arguments)


def test_a_method_without_a_strategy_to_check_is_told_what_to_declare(tmp_path, refused):
    plugin = tmp_path / "bare.py"
    plugin.write_text(GOOD.replace("halved_loss", "bare").replace("factor: float = 0.5", "factor: float"))
    assert "bare must declare a strategy to check, example = 'bare(...)'" in refused(main, "check", plugin)
