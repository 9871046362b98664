"""Forward passes: a technique that a faster pass does not fit is found before the first step, and uses `stock`."""

import functools
import re

import pytest
import torch

from regularizers.agreement import start_exactly
from regularizers.base import Context, Regularizer
from regularizers.registry import find, methods
from regularizers.strategy import BoundStrategy, parse
from regularizers.surgery.forward import packed, padded, prepare, stock
from regularizers.testing.tiny_trial import HEAD, example_scores, make_batch, tiny_bert


class Fake(Regularizer):
    """A technique of given hooks: what it does when it attaches, and its loss."""

    name = "fake"

    def __init__(self, attach=lambda context: None, loss=None, forward="packed"):
        self._attach, self._loss, self.forward = attach, loss, forward

    def attach(self, context):
        self._attach(context)
        return list(context.parameters())

    def loss(self, compute, batch, context):
        return self._loss(compute, batch, context) if self._loss else compute(batch)


def other_attention(context):
    """It knows nothing of packed rows: all examples attend to each other."""
    context.model.set_attn_implementation("eager")


def first_row(context):
    """Needs a hidden state of the shape (examples, tokens, width)."""

    def check(module, args, out):
        if len(out) == 1:
            raise ValueError("one row\nand more")

    context.model.bert.embeddings.register_forward_hook(check)


def own_call(compute, batch, context):
    """Calls the model itself, which then lacks the lengths of the sequences."""
    inner = compute(batch)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return inner._replace(loss=inner.loss + context.model(**inputs).logits.square().mean())


def at_step(at):
    """Another attention for one step, after which the first one is given back."""

    def loss(compute, batch, context):
        before = context.model.config._attn_implementation
        context.model.set_attn_implementation("eager" if context.training.step == at else before)
        out = compute(batch)
        context.model.set_attn_implementation(before)
        return out

    return loss


class Looks(Regularizer):
    """Takes a figure of the training data with it, and counts how often it looks and how its model is called."""

    name = "looks"

    def attach(self, context):
        self.ways = []
        return list(context.parameters())

    def start(self, batches, context):
        self.ways.append(context.forward.__name__)
        self.scale = float(sum(context.compute(batch).loss for batch in batches).detach())

    def loss(self, compute, batch, context):
        inner = compute(batch)
        return inner._replace(loss=inner.loss * self.scale)


class Schedule(Regularizer):
    """Counts its draws and divides by the number of steps; random on activations and on weights."""

    name = "schedule"

    def attach(self, context):
        self.drawn, self.share, self._seen = 0, torch.ones(()), []
        context.model.bert.embeddings.register_forward_hook(lambda m, a, out: out * (1 + 0.1 * torch.randn_like(out)))
        return list(context.parameters())

    def draw(self, context):
        self.drawn += 1
        self.share.mul_(1 - context.training.step / context.training.steps)
        self.noise = torch.rand((), generator=context.generator)

    def loss(self, compute, batch, context):
        inner = compute(batch)
        return inner._replace(loss=inner.loss * (1 + self.noise))


REFUSED = (
    "a step failed with InputError: a technique must leave the attention alone or declare forward = 'stock', "
    "got attention eager under the packed pass"
)


def bind(*terms, way="packed", dtype=torch.float32, text="none"):
    """A strategy of these techniques, or the one that the text says, attached for a forward pass."""
    model = tiny_bert().to(dtype)
    strategy = parse(text)
    context = Context(
        model,
        HEAD,
        torch.Generator().manual_seed(1),
        examples=20,
        fisher=example_scores(model, strategy),
        forward=prepare(model, way),
    )
    bound = BoundStrategy(context, [(term, context.scoped("all"), term.name) for term in terms])
    bound = bound if terms else strategy.bind(context)
    bound.attach()
    return bound


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_of_the_package_computes_the_same_in_the_padded_pass(name):
    """The conformance kit compares the packed one."""
    bound = bind(way="padded", dtype=torch.float64, text=find(name).example or name)
    note, declares = start_exactly(bound, [make_batch(0)], "padded", trust=False), find(name).forward == "stock"
    assert note == (
        f"trained with the forward pass stock in place of padded: declared by {bound.terms[0][2]}" if declares else None
    )
    assert bound.context.forward is (stock if declares else padded)


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        (Fake(other_attention), REFUSED),
        (Fake(first_row), "a step failed with ValueError: one row"),
        (Fake(forward="stock"), "declared by fake"),
    ],
)
def test_a_pass_that_does_not_fit_gives_way_to_stock(term, reason):
    bound = bind(term)
    assert start_exactly(bound, [make_batch(0)], "packed") == (
        f"trained with the forward pass stock in place of packed: {reason}"
    )
    assert bound.context.forward is stock and all(context.forward is stock for _, context, _ in bound.terms)
    reference = bind(way="stock").context
    batch = make_batch(1)
    assert torch.allclose(bound.context.compute(batch).loss, reference.compute(batch).loss, rtol=1e-5)


def test_a_term_of_the_middle_is_compared_there():
    bound = bind(Fake(loss=at_step(4)))
    bound.context.training.steps = 10
    assert REFUSED in (start_exactly(bound, [make_batch(0)], "packed") or "")


def test_another_attention_at_any_other_step_is_refused_and_never_silently_wrong(refusal):
    bound = bind(Fake(loss=at_step(6)))
    bound.context.training.steps = 10
    assert start_exactly(bound, [make_batch(0)], "packed") is None
    bound.context.training.step = 5
    bound.loss(make_batch(0))
    bound.context.training.step = 6
    assert re.search(
        r"must leave the attention alone or declare forward = 'stock', got .* eager", refusal(bound.loss, make_batch(0))
    )


def test_a_look_at_the_training_data_is_taken_once_and_with_the_models_own_pass():
    bound = bind(Looks())
    assert start_exactly(bound, [make_batch(0), make_batch(1)], "packed") is None and bound.context.forward is packed
    plain = bind(way="stock").context
    assert bound.terms[0][0].ways == ["forward"]
    assert bound.terms[0][0].scale == pytest.approx(sum(plain.compute(make_batch(at)).loss.item() for at in range(2)))


@pytest.mark.parametrize("way", ["padded", "packed"])
def test_the_children_of_a_faster_pass_are_those_of_the_models_own(way):
    """The one technique of the package that looks at the training data does so with the pass that it trains with."""
    fast, slow = (bind(way=own, dtype=torch.float64, text="child_tuning(0.3, variant=D)") for own in (way, "stock"))
    for bound, own in ((fast, way), (slow, "stock")):
        assert start_exactly(bound, [make_batch(0), make_batch(1)], own) is None
    assert fast.context.forward is not slow.context.forward
    masks, wanted = (bound.terms[0][0].masks for bound in (fast, slow))
    assert wanted and masks.keys() == wanted.keys() and all(torch.equal(masks[name], wanted[name]) for name in wanted)


def test_stock_stays_stock():
    assert start_exactly(bind(Fake(forward="stock"), way="stock"), [make_batch(0)], "stock") is None


def test_a_model_called_without_lengths_masks_its_padding():
    bound = bind(Fake(loss=own_call), dtype=torch.float64)
    assert start_exactly(bound, [make_batch(0)], "packed") is None and bound.context.forward is packed
    batch = make_batch(0)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    plain = tiny_bert().double()
    assert torch.allclose(bound.context.model.eval()(**inputs).logits, plain.eval()(**inputs).logits, rtol=1e-12)


def test_noise_stays_where_the_pass_gives_way():
    bound = bind(text="gaussian_dropout(0.5)")
    bound.terms.append((Fake(other_attention), bound.context.scoped("all"), "other"))
    bound.terms[-1][0].attach(bound.context)
    bound.context.model.set_attn_implementation("regbench_packed")
    bound.context.model.bert.embeddings.register_forward_hook(lambda m, a, out: out * len(out))
    assert "differs" in (start_exactly(bound, [make_batch(0)], "packed") or "")
    assert bound.context.model.config._attn_implementation == "regbench_noise"


def test_nothing_is_left_of_the_first_step():
    bound = bind(Schedule())
    term, context = bound.terms[0][0], bound.context
    context.model.eval()
    weights = {name: p.detach().clone() for name, p in context.model.named_parameters()}
    states = context.generator.get_state(), torch.get_rng_state()
    assert start_exactly(bound, [make_batch(0)], "packed") is None
    assert (term.drawn, float(term.share), context.training.steps) == (0, 1.0, 0) and not hasattr(term, "noise")
    assert torch.equal(states[0], context.generator.get_state()) and torch.equal(states[1], torch.get_rng_state())
    assert all(torch.equal(p, weights[name]) and p.grad is None for name, p in context.model.named_parameters())
    assert not any(module.training for module in context.model.modules())


def test_mixed_precision_has_a_tolerance_of_its_own():
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16)
    assert start_exactly(bind(Schedule()), [make_batch(0)], "packed", autocast) is None
    assert start_exactly(bind(Fake(other_attention)), [make_batch(0)], "packed", autocast) is not None
