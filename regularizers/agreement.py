"""Whether a strategy computes the same under a faster forward pass as under the model's own; if not, the own is used.

A technique may call the model itself, ask for attention weights or choose another attention in `attach`. Under `packed`
all examples of a batch would then attend to each other without a word, or the technique dies of an internal error. So
such a technique looks at the training data (`start`) under the model's own pass, and then the first, the middle and the
last step go through its own hooks both ways, on a few real examples. Nothing is kept of these steps: weights,
attention, the terms' state and all generators are as before. What begins at another step is safe where it calls the
model itself (without lengths its attention is plain) or chooses another attention (the packed pass refuses it); what
reads the hidden states of single layers between these steps alone is not seen. Techniques of this package are compared
by its tests.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from regularizers.base import is_data
from regularizers.context import Batch, to_device
from regularizers.strategy import BoundStrategy
from regularizers.surgery.forward import restore_stock, stock

MESSAGE = 200  # characters of an error's text that a record keeps
EXAMPLES = 8  # of the batch on which two passes are compared
TOLERANCE = {  # what another order of additions may change, relative to the largest gradient of all
    torch.float64: 1e-9,
    torch.float32: 1e-3,
    torch.bfloat16: 5e-2,
    torch.float16: 5e-2,
}
Forward = Callable[[Any, Batch], Tensor]
Autocast = Callable[[], AbstractContextManager[Any]]


def start_exactly(
    bound: BoundStrategy, batches: Sequence[Batch], way: str, autocast: Autocast = nullcontext, *, trust: bool = True
) -> str | None:
    """Start an attached strategy; keep its forward pass `way` where it is exact, else take `stock`: a sentence why.

    `batches` are those of the first epoch. `trust` spares strategies whose techniques are all of this package.
    """
    fast, model = bound.context.forward, bound.context.model
    ours = all(type(term).__module__.startswith("regularizers.") for term, _, _ in bound.terms)
    declared = [text for term, _, text in bound.terms if term.forward == "stock"]
    compared = way != "stock" and not declared and not (trust and ours)
    reason = f"declared by {', '.join(declared)}" if declared and way != "stock" else ""
    if reason:
        _use(bound, restore_stock(model))
    elif compared:
        _use(bound, stock)
    bound.start(lambda: batches)
    if compared:
        reason = _difference(bound, fast, batches[0], autocast)
        _use(bound, restore_stock(model) if reason else fast)
    return f"trained with the forward pass stock in place of {way}: {reason}" if reason else None


def _difference(bound: BoundStrategy, fast: Forward, batch: Batch, autocast: Autocast) -> str:
    """How one step under the forward pass `fast` differs from one under `stock`; empty where it does not."""
    device = next(bound.context.model.parameters()).device
    batch = to_device({n: v[:EXAMPLES] for n, v in batch.items()}, device)
    try:
        last = max(0, bound.context.training.steps - 1)
        for step in sorted({0, last // 2, last}):  # a term may begin late, and end early
            with as_before(bound, step):
                found = _step(bound, fast, batch, autocast)
            with as_before(bound, step):
                wanted = _step(bound, stock, batch, autocast)
            if reason := _apart(found, wanted, _tolerance(bound, autocast)):
                return f"{reason} at step {step + 1}"
    except Exception as error:  # of a technique's own code, or of the pass that it does not fit
        first = (str(error).splitlines() or [""])[0]
        return f"a step failed with {type(error).__name__}: {first[:MESSAGE]}"
    return ""


def _apart(fast: dict[str, Tensor], slow: dict[str, Tensor], tolerance: float) -> str:
    scale = max([float(value.abs().max()) for name, value in slow.items() if name != "loss"], default=1.0) or 1.0
    for name, value in slow.items():
        allowed = tolerance * (scale if name != "loss" else 1 + abs(float(value)))
        if name not in fast or not float((fast[name] - value).abs().max()) <= allowed:
            what = "the loss" if name == "loss" else f"the gradient of {name}"
            return f"{what} differs"
    return ""


def _tolerance(bound: BoundStrategy, autocast: Autocast) -> float:
    weight = next(bound.context.model.parameters())
    with autocast():
        mixed = torch.is_autocast_enabled(weight.device.type)
        dtype = torch.get_autocast_dtype(weight.device.type) if mixed else weight.dtype
    return TOLERANCE[dtype]


def _use(bound: BoundStrategy, forward: Forward) -> None:
    for context in (bound.context, *(context for _, context, _ in bound.terms)):
        context.forward = forward


def _step(bound: BoundStrategy, forward: Forward, batch: Batch, autocast: Autocast) -> dict[str, Tensor]:
    """Loss and gradients of one step up to the optimizer."""
    model, losses = bound.context.model, []
    _use(bound, forward)
    model.train()

    def backward() -> None:
        model.zero_grad()
        with autocast():
            loss = bound.loss(batch).loss
        losses.append(loss.detach().float())
        loss.backward()

    bound.draw()
    with EqualNoise():
        bound.gradients(backward)
    gradients = {n: p.grad.detach().clone() for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": losses[-1], **gradients}


@contextmanager
def as_before(bound: BoundStrategy, step: int = 0) -> Iterator[None]:
    """Within it the step after `step` others may be taken; afterwards model, terms, training and generators are as they
    were."""
    model: Any = bound.context.model
    training = bound.context.training
    terms = [(vars(term), _kept(vars(term))) for term, _, _ in bound.terms]
    tensors = {n: t.detach().clone() for n, t in _tensors(model).items()}
    drawn, mode, progress = bound.context.generator.get_state(), model.training, (training.steps, training.step)
    attention = model.config._attn_implementation
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        training.steps, training.step = max(1, training.steps), step
        try:
            yield
        finally:
            training.steps, training.step = progress
            bound.context.generator.set_state(drawn)
            model.train(mode).zero_grad()
            if model.config._attn_implementation != attention:
                model.set_attn_implementation(attention)
            for now, before in terms:
                now.clear()
                now.update(before)
            with torch.no_grad():
                for name, tensor in _tensors(model).items():
                    if name in tensors and tensor.shape == tensors[name].shape:
                        tensor.copy_(tensors[name])


def _tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _kept(state: dict[str, Any]) -> dict[str, Any]:
    """A term's attributes: data as copies, references as they are."""
    return {name: copy.deepcopy(value) if is_data(value) else value for name, value in state.items()}


class EqualNoise(TorchFunctionMode):
    """Gives all elements of a random tensor the same value and lets dropout drop nothing.

    Noise on activations is then the same whichever way a batch lies in memory, and noise on weights, which is drawn
    before, acts as ever.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call; a function that moved a generator gives one value, that of a fixed seed."""
        kwargs = kwargs or {}
        name = (resolve_name(func) or "").rsplit(".", 1)[-1]
        if "dropout" in name and args:
            return args[0]
        if name == "scaled_dot_product_attention":
            kwargs = {**kwargs, "dropout_p": 0.0}
        sources = [source for source in (kwargs.get("generator"), *default_generators()) if source is not None]
        before = [source.get_state() for source in sources]
        result = func(*args, **kwargs)
        moved = [s for s, was in zip(sources, before, strict=True) if not torch.equal(was, s.get_state())]
        if not moved:
            return result
        for source in moved:
            source.manual_seed(0)
        result = func(*args, **kwargs)
        return one_value(result)


def one_value(result: Any) -> Any:
    """A random tensor filled with its first element; whole numbers (orders, choices of examples) stay as they are."""
    if not isinstance(result, Tensor) or not (result.is_floating_point() or result.dtype == torch.bool):
        return result
    with torch.no_grad():
        return result.fill_(result.flatten()[0].item()) if result.numel() else result


def default_generators() -> list[torch.Generator]:
    """Torch's default generators of the devices there are."""
    return [torch.default_generator, *(torch.cuda.default_generators if torch.cuda.is_available() else ())]
