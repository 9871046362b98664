"""Strategies: reading and writing sums, their scopes and contradictions, and what binding does."""

import functools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regularizers.base import Context, spell
from regularizers.registry import find
from regularizers.strategy import MAX_LENGTH, parse, silence

p = st.floats(0, 0.999)
bounds = st.tuples(p, p).map(sorted)
amount = st.floats(0, 1e6)
target = st.sampled_from(["0", "w_pre", "a b.safetensors", 'q"uo\\te.safetensors', "x=1,(y).safetensors"])
layers = st.sampled_from(["paper", "fed", "all"])
path = st.sampled_from(["estimate", "f.safetensors", "a folder/f.safetensors"])


def term(name, *positional, **options):
    return st.builds(find(name), *positional, **options)


DROPS = st.one_of(
    term("dropout", p),
    term("gaussian_dropout", p),
    term("variational_dropout", st.floats(0.001, 0.5), lr=st.floats(1e-6, 1)),
    term("model_default"),
    st.builds(lambda b, head, order, source: find("guided_dropout")(*b, head=head, order=order, fisher=source),
              bounds, p, st.sampled_from(["ranked", "shuffled"]), path),
)  # fmt: skip
MIXES = st.one_of(
    term("mixout", target, p, layers=layers, gradient=st.sampled_from(["exact", "authors"])),
    term("mixconnect", target, p, layers=layers, mask=st.sampled_from(["bernoulli", "gaussian"])),
    term("dropconnect", p, layers=layers),
    term("tuneout", p, layers=layers),
)
OTHERS = st.one_of(
    term("wdecay", st.sampled_from(["0", "w_pre"]), amount, form=st.sampled_from(["decoupled", "coupled"])),
    term("ewc", amount, fisher=path),
    term("surgical", st.integers(1, 99), fisher=path),
)
HEADS = st.one_of(
    term("none"), term("dropout", p), term("mixout", st.just("w_0"), p), term("wdecay", st.just("w_0"), p)
)
SUMS = st.tuples(st.none() | DROPS, st.none() | MIXES, st.none() | OTHERS, st.none() | HEADS)


@settings(deadline=None, max_examples=60)
@given(SUMS)
def test_what_is_written_is_read_back(parts):
    *body, head = parts
    words = [str(part) for part in body if part] + ([f"head:{head}"] if head else [])
    text = " + ".join(words or ["none"])
    strategy = parse(text)
    assert parse(str(strategy)) == strategy and str(parse(str(strategy))) == str(strategy)
    assert str(parse(" + ".join(reversed(words or ["none"])))) == str(strategy)
    assert all(found.regularizer in (*body, head) for found in strategy.terms if words)


PAPERS = (
    "dropout(0.1) + wdecay(0, 0.01)",
    "wdecay(w_pre, 0.01)",
    "mixout(w_pre, 0.7)",
    "mixout(w_pre, 0.7) + wdecay(w_pre, 0.01)",
    "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",
    "guided_dropout(0, 0.1)",
    "dropout(0.3) + head:none",
    "none",
    "model_default",
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("wdecay(0,1e-2)+dropout(.1)", "dropout(0.1) + wdecay(0, 0.01)"),
        ("dropout", "dropout(0.1)"),
        ("mixout(p=0.7, target=w_pre, layers=paper)", "mixout(w_pre, 0.7)"),
        ("mixout(w_pre, 0.70, layers=all)", "mixout(w_pre, 0.7, layers=all)"),
        ("head:none + dropout(0.3)", "dropout(0.3) + head:none"),
        ('mixout("a b.safetensors", 0.5)', 'mixout("a b.safetensors", 0.5)'),
        ("wdecay(0, 1e6)", "wdecay(0, 1000000)"),
        ("wdecay(0, 1e22)", "wdecay(0, 1e22)"),
        *((text, text) for text in PAPERS),
    ],
)
def test_equal_sums_have_equal_text(text, canonical):
    assert str(parse(text)) == canonical
    assert parse(text) == parse(canonical)


SUM = r"a strategy must be a sum like 'dropout\(0.1\) \+ wdecay\(0, 0.01\)', got "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", SUM + "'': it is empty"),
        ("   ", SUM + "'   ': it is empty"),
        ("dropout(0.1) +", SUM + ".*: a technique's name is missing"),
        ("head:", SUM + ".*: a technique's name is missing"),
        ("dropout(0.1", SUM + ".*: the bracket after dropout is not closed"),
        ("dropout(0.1) none", SUM + r".*: a \+ must follow dropout"),
        ("wdecay(0 0.1)", SUM + ".*: the arguments of wdecay must be separated by commas"),
        ('mixout("w_pre, 0.1)', SUM),
        ("drpout(0.1)", "unknown regularizer 'drpout'; did you mean dropout"),
        ("zzz", "unknown regularizer 'zzz'; available: .*dropout.*wdecay"),
        ("dropout(0.1, 0.2)", r"dropout\(p=0.1\) takes 1 positional arguments, got 2"),
        ("dropout(q=0.1)", r"the argument 'q' of dropout is unknown; it must be written dropout\(p=0.1\)"),
        ("dropout(0.1, p=0.2)", "the argument 'p' of dropout is given twice; it must be written"),
        ("dropout(p=)", "the arguments of dropout must be separated by commas"),
        ("dropout(=)", "an argument of dropout is missing"),
        ("wdecay(0)", r"wdecay must be given strength; write wdecay\(target, strength, form=decoupled\)"),
        ("dropout(many)", r"p of dropout must be a finite number, got 'many'; write dropout\(p=0.1\)"),
        ("dropout(nan)", "p of dropout must be a finite number, got 'nan'"),
        ("dropout(1e999)", "p of dropout must be a finite number, got '1e999'"),
        ("dropout(0.1) + dropout(0.2)", "one sum must set the dropout sites once, got .*; leave one out"),
        ("none + wdecay(0, 0.1)", "none must stand alone in its sum"),
        ("head:none + head:dropout(0.1)", "none must stand alone in its sum"),
        ("none + none", "none must stand alone in its sum"),
        ("+".join(["dropout(0.1)"] * 200), f"a strategy must have at most {MAX_LENGTH} characters, got 2599"),
    ],
)
def test_messages(text, message, refusal):
    assert re.search(message, refusal(parse, text))


def test_with_a_head_term_the_others_act_on_the_body():
    assert [term.scope for term in parse("dropout(0.1) + wdecay(0, 0.1)").terms] == ["all", "all"]
    assert [term.scope for term in parse("dropout(0.1) + head:none").terms] == ["body", "head"]


def test_binding_copies_so_that_trials_share_nothing(lab):
    strategy = parse("mixout(w_pre, 0.7)")
    first = strategy.bind(lab("none").context)
    first.attach()
    assert not hasattr(strategy.terms[0].regularizer, "_mixed") and first.terms[0][0] == strategy.terms[0].regularizer


def test_attach_says_what_each_term_touched(lab):
    trial = lab("none")
    touched = parse("dropout(0.1) + wdecay(0, 0.1) + head:none").bind(trial.context).attach()
    assert list(touched) == ["dropout(0.1)", "wdecay(0, 0.1)", "head:none"] and touched["head:none"] == []


def test_silence_sets_every_kind_of_dropout():
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Dropout2d(0.5), torch.nn.AlphaDropout(0.5))
    silence(model)
    assert [module.p for module in model] == [0, 0, 0]


def test_the_training_data_is_only_read_for_terms_that_look_at_it(lab):
    bound = parse("dropout(0.1)").bind(lab("none").context)
    bound.start(lambda: pytest.fail("nobody asked for batches"))


def test_every_hook_of_every_term_is_called_and_later_terms_wrap_earlier_ones(lab):
    calls, trial = {"draw": [], "gradients": [], "loss": [], "update": []}, lab("none")

    def noted(name, hook, call, *args):
        calls[hook].append(name)
        return call(*args)

    def spy(name):
        term = find("none")()
        for hook in calls:
            setattr(term, hook, functools.partial(noted, name, hook, getattr(term, hook)))
        return term

    trial.bound.terms = [(spy("first"), trial.context, "a"), (spy("second"), trial.context, "b")]
    trial.run(1)
    inwards = ["second", "first"]
    assert calls == {"draw": ["first", "second"], "gradients": inwards, "loss": inwards, "update": inwards}


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (0.0, "0"), (0.1, "0.1"), (2e-5, "2e-05"), (3, "3"), ("w_pre", "w_pre"),
     ("a b", '"a b"'), ('a"b', '"a\\"b"'), ("", '""')],
)  # fmt: skip
def test_spelling_of_values(value, text):
    assert spell(value) == text


def test_bare_modules_need_no_site_table():
    context = Context(torch.nn.Linear(2, 2))
    assert context.sites.family == "none" and parse("wdecay(0, 0.1)").bind(context).attach() == {
        "wdecay(0, 0.1)": ["weight"]
    }
